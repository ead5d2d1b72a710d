"""A person's CSV files: texts to classify, and tables of numbers and words."""

import numpy as np
import pytest

from workbench.data.table_csv import TableCsv
from workbench.data.text_csv import TextCsv
from workbench.errors import InvalidInput

PARTS = ("train", "validation", "calibration", "test")


def write(path, head, rows):
    path.write_text("\n".join([head, *rows]), encoding="utf-8")
    return str(path)


@pytest.fixture
def table(tmp_path):
    """100 rows; `size` decides the class, `weight` is constant, one cell is empty."""
    rows = [
        f"{n},{'' if n == 3 else 5},{('red', 'blue')[n % 2]},{'high' if n >= 50 else 'low'},id-{n}" for n in range(100)
    ]
    return write(tmp_path / "table.csv", "size,weight,colour,label,name", rows)


def test_texts_become_bytes_cut_and_filled_up(tmp_path):
    rows = [f'"é{n}, quoted",b' if n % 2 else f"plain {n},a" for n in range(40)]
    data = TextCsv(path=write(tmp_path / "t.csv", "text,label", rows), length=6)
    splits, card = data.load(), data.card()
    assert card.labels == ("a", "b") and card.inputs[0].shape == ("batch", 6)
    assert {part: len(getattr(splits, part)) for part in PARTS} == dict(card.num_examples)
    tokens = splits.train.inputs["tokens"]
    assert tokens.dtype == np.int64 and tokens.shape[1] == 6
    quoted = tokens[splits.train.targets == 1]
    assert (quoted[:, :2] == list("é".encode())).all() and (
        tokens[splits.train.targets == 0][:, :5] == list(b"plain")
    ).all()


def test_short_texts_end_in_zeros(tmp_path):
    rows = [f"{'ab'[n % 2]},{n % 2}" for n in range(20)]
    tokens = TextCsv(path=write(tmp_path / "t.csv", "text,label", rows), length=4).load().train.inputs["tokens"]
    assert set(map(tuple, tokens.tolist())) == {(97, 0, 0, 0), (98, 0, 0, 0)}


def test_numbers_are_scaled_by_the_train_part_alone(table):
    splits = TableCsv(path=table, ignored=["name"]).load()
    train, test = splits.train.inputs["features"], splits.test.inputs["features"]
    assert train.shape[1] == 4  # size, weight, colour=blue, colour=red
    assert abs(train[:, 0].mean()) < 1e-5 and abs(train[:, 0].std() - 1) < 1e-5
    assert abs(test[:, 0].mean()) > 1e-5, "the test part has no say in the scale"
    assert np.isfinite(train).all() and (train[:, 1] == 0).all(), "an empty cell and a constant column are the mean"
    assert (train[:, 2:].sum(axis=1) == 1).all()


def test_a_column_may_say_the_split(tmp_path):
    rows = [f"{n},{n % 2},{'test' if n >= 80 else 'train'}" for n in range(100)]
    data = TableCsv(path=write(tmp_path / "t.csv", "x,label,part", rows), split_column="part")
    splits = data.load()
    assert len(splits.test) == 20 and {part: len(getattr(splits, part)) for part in PARTS} == dict(
        data.card().num_examples
    )
    assert splits.test.inputs["features"].min() > 0, "the last twenty, scaled by the first eighty"


def test_whole_numbers_as_labels_keep_their_order(tmp_path):
    rows = [f"{n},{(2, 10, 1)[n % 3]}" for n in range(30)]
    assert TableCsv(path=write(tmp_path / "t.csv", "x,label", rows)).card().labels == ("1", "2", "10")


@pytest.mark.parametrize(
    "head, row, change, told",
    [
        ("text,kind", "a{n},b{c}", {}, "no column 'label'"),
        ("text,label", "a{n},same", {}, "two classes or more"),
        ("text,label", "a{n},{n}", {}, "holds no classes"),
        ("text,label", "a{n},", {}, "no label"),
        ("text,label", ",{c}", {}, "has no text"),
        ("text,label,part", "a{n},{c},somewhere", {"split_column": "part"}, "none of train"),
        ("text,label,part", "a{n},{c},train", {"split_column": "part"}, "at least train and test"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, head, row, change, told):
    path = write(tmp_path / "t.csv", head, [row.format(n=n, c=n % 2) for n in range(40)])
    with pytest.raises(InvalidInput, match=told):
        TextCsv(path=path, **change).load()


def test_names_in_a_table_are_refused_with_the_next_move(tmp_path):
    path = write(tmp_path / "t.csv", "who,label", [f"person {n},{n % 2}" for n in range(300)])
    with pytest.raises(InvalidInput, match="300 different words") as caught:
        TableCsv(path=path).card()
    assert "ignored" in str(caught.value)


@pytest.mark.parametrize(
    "content, told", [(b"", "CSV"), (b"a,b\n\xff\xfe,1\n", "UTF-8"), (b"a,label\n1,2\n", "ten or more")]
)
def test_a_file_that_is_none_is_refused(tmp_path, content, told):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(InvalidInput, match=told):
        TableCsv(path=str(tmp_path / "t.csv")).card()


def test_a_changed_file_is_read_again(table):
    from pathlib import Path

    data = TableCsv(path=table, ignored=["name"])
    before = sum(data.card().num_examples.values())
    Path(table).write_text(Path(table).read_text() + "\n7,5,red,low,id-new", encoding="utf-8")
    assert sum(data.card().num_examples.values()) == before + 1


def test_a_table_is_learnt_by_the_multi_layer_perceptron(table):
    import torch

    from workbench import catalog

    data = catalog.make("data", {"use": "table_csv", "path": table, "ignored": ["name"]})
    torch.manual_seed(0)
    model = catalog.make("zoo", {"use": "lenet_300_100"})
    assert model.why_not(data.card()) == [] and catalog.make("zoo", {"use": "lenet_5"}).why_not(data.card())
    module, splits = model.build(data.card()), data.load()
    inputs, targets = torch.from_numpy(splits.train.inputs["features"]), torch.from_numpy(splits.train.targets)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(module(inputs), targets).backward()
        optimizer.step()
    answers = module(torch.from_numpy(splits.test.inputs["features"])).argmax(1).numpy()
    assert (answers == splits.test.targets).mean() > 0.9
