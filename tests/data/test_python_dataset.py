"""A person's own function as data: taken when it fits, refused with every reason when not."""

import textwrap

import numpy as np
import pytest

from workbench.data.python_dataset import PythonDataset
from workbench.errors import InvalidInput

PARTS = ("train", "validation", "calibration", "test")


def dataset(folder, body, **parameters):
    """Return a PythonDataset on a file whose function `made` has this body."""
    text = f"import numpy as np\n\n\ndef made(num=50):\n{textwrap.indent(textwrap.dedent(body), '    ')}\n"
    (folder / "own.py").write_text(text)
    return PythonDataset(function=f"{folder / 'own.py'}:made", **parameters)


def test_images_and_targets_are_split_by_seed(tmp_path):
    data = dataset(tmp_path, "return np.random.default_rng(0).random((num, 1, 8, 8)), np.arange(num) % 5")
    card, splits = data.card(), data.load()
    assert (card.num_classes, card.labels) == (5, ("0", "1", "2", "3", "4"))
    assert card.inputs[0].name == "pixels" and splits.train.inputs["pixels"].dtype == np.float32
    assert {part: len(getattr(splits, part)) for part in PARTS} == dict(card.num_examples)


def test_options_reach_the_function(tmp_path):
    data = dataset(tmp_path, "return np.zeros((num, 1, 8, 8)), np.arange(num) % 2", options={"num": 20})
    assert sum(data.card().num_examples.values()) == 20


def test_several_inputs_keep_their_names(tmp_path):
    body = "return {'tokens': np.arange(num * 4).reshape(num, 4), 'attention_mask': np.ones((num, 4), int)}, np.arange(num) % 2"
    data = dataset(tmp_path, body, task="text-classification")
    assert [each.name for each in data.card().inputs] == ["tokens", "attention_mask"]
    assert all(array.dtype == np.int64 for array in data.load().test.inputs.values())


def test_a_language_model_without_targets_predicts_the_next_token(tmp_path):
    data = dataset(tmp_path, "return np.arange(num * 9).reshape(num, 9) % 7", task="language-modelling", num_classes=7)
    train = data.load().train
    assert train.inputs["tokens"].shape[1] == 8
    assert np.array_equal(train.inputs["tokens"][:, 1:], train.targets[:, :-1])


def test_own_splits_are_kept_and_what_lacks_is_taken_from_train(tmp_path):
    body = """
        random = np.random.default_rng(0)
        cut = lambda n: (random.random((n, 1, 4, 4)), np.arange(n) % 2)
        return {"train": cut(40), "test": cut(10), "validation": cut(5)}
    """
    splits = dataset(tmp_path, body).load()
    assert [len(getattr(splits, part)) for part in PARTS] == [36, 5, 4, 10]


def test_an_example_in_calibration_and_test_is_refused(tmp_path):
    body = """
        random = np.random.default_rng(0)
        cut = lambda n: (random.random((n, 1, 4, 4)), np.arange(n) % 2)
        test = cut(10)
        return {"train": cut(40), "test": test, "calibration": (test[0][:3], test[1][:3])}
    """
    with pytest.raises(InvalidInput, match="3 examples are in both calibration and test"):
        dataset(tmp_path, body).load()


@pytest.mark.parametrize(
    "body, complaint",
    [
        ("return np.zeros((num, 1, 8, 8))", "not \\(inputs, targets\\)"),
        ("return np.zeros((num, 1, 8, 8)), np.zeros(num - 1, int)", "one target for each"),
        ("return np.zeros((num, 1, 8, 8)), np.zeros(num)", "class numbers"),
        ("return np.zeros((num, 1, 8, 8)), np.full(num, -1)", "negative"),
        ("return np.full((num, 1, 8, 8), np.nan), np.zeros(num, int)", "NaN"),
        ("return np.array(['a'] * num), np.zeros(num, int)", "numbers \\(N, …\\) are needed"),
        ("return np.zeros((0, 1, 8, 8)), np.zeros(0, int)", "one or more examples"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(tmp_path, body, complaint):
    with pytest.raises(InvalidInput, match=complaint):
        dataset(tmp_path, body).card()


def test_labels_that_contradict_the_targets_are_refused(tmp_path):
    data = dataset(tmp_path, "return np.zeros((num, 1, 8, 8)), np.arange(num) % 5", labels=["a", "b"])
    with pytest.raises(InvalidInput, match="at least 5 classes, not 2"):
        data.card()


def test_an_edited_file_is_run_anew(tmp_path):
    first = dataset(tmp_path, "return np.zeros((20, 1, 8, 8)), np.arange(20) % 2").card()
    second = dataset(tmp_path, "return np.zeros((30, 1, 8, 8)), np.arange(30) % 3").card()
    assert (first.num_classes, second.num_classes) == (2, 3)
