"""Texts of one's own reach a checkpoint as its own tokenizer reads them, and never twice in two parts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests import own_tokenizer
from workbench import catalog, tokenizer
from workbench.data.text_csv import TextCsv
from workbench.data.text_files import TextFiles
from workbench.errors import InvalidInput
from workbench.nouns import DataCard


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return own_tokenizer.save(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(own_tokenizer.TEXT, encoding="utf-8")
    return path


def test_it_is_what_transformers_reads(folder: Path) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    ours, said = tokenizer.read(folder), "for größe in words: return 3"
    assert ours.encode(said) == theirs(said)["input_ids"]
    assert ours.decode(ours.encode(said)) == said
    assert (ours.vocabulary, ours.padding) == (len(theirs), theirs.pad_token_id)
    assert ours.encode_all([said, "os"]) == [ours.encode(said), ours.encode("os")]


def test_halves_of_a_character_are_written_once_it_is_whole(folder: Path) -> None:
    ours = tokenizer.read(folder)
    tokens = ours.encode("sum ✓ größe")
    write = ours.writer(tokens[:1])
    assert ours.decode(tokens[:1]) + "".join(write(token) for token in tokens[1:]) == "sum ✓ größe"
    assert "·" in ours.each(np.array(tokens))


def test_older_files_are_converted(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "words", "sum", "##s"])
    )
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    ours = tokenizer.read(tmp_path)
    assert ours.encode("sums words") == [2, 6, 7, 5, 3]


@pytest.mark.parametrize("content", [None, "", "{", '{"model": {"type": "none"}}'])
def test_a_folder_without_one_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(InvalidInput, match="tokenizer"):
        tokenizer.read(tmp_path)
    with pytest.raises(InvalidInput, match="no folder"):
        tokenizer.read(tmp_path / "absent")


def test_a_changed_tokenizer_is_read_again(tmp_path: Path) -> None:
    own_tokenizer.save(tmp_path)
    before = tokenizer.read(tmp_path).vocabulary
    own_tokenizer.save(tmp_path, size=290)
    assert tokenizer.read(tmp_path).vocabulary == 290 < before


def test_sequences_are_the_text_and_targets_reach_one_further(text: Path, folder: Path) -> None:
    data = TextFiles(path=str(text), tokenizer=str(folder), length=16)
    splits, ours = data.load(), tokenizer.read(folder)
    tokens = splits.train.inputs["tokens"]
    assert np.array_equal(tokens[:, 1:], splits.train.targets[:, :-1])
    assert ours.decode(tokens[0].tolist()) in own_tokenizer.TEXT
    card = data.card()
    assert card.num_classes == ours.vocabulary and tokens.max() < ours.vocabulary
    assert card.inputs[0].shape == ("batch", 16)


def test_without_a_tokenizer_they_are_bytes(text: Path) -> None:
    splits = TextFiles(path=str(text), length=32).load()
    assert bytes(splits.test.inputs["tokens"][0].astype(np.uint8)).decode(errors="replace") in own_tokenizer.TEXT
    assert TextFiles(path=str(text)).card().num_classes == 256


def test_of_one_file_each_part_is_a_stretch_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "numbers.txt"
    path.write_text("".join(f"{number:08d}" for number in range(2000)))
    splits = TextFiles(path=str(path), length=15, split_seed=3).load()
    starts = {}
    for part in ("train", "validation", "calibration", "test"):
        starts[part] = {bytes(row[:8].astype(np.uint8)) for row in getattr(splits, part).inputs["tokens"]}
    assert sum(map(len, starts.values())) == 1000 == len(set().union(*starts.values()))
    assert len(starts["train"]) == 600
    assert max(starts["train"]) < min(starts["validation"]) and max(starts["validation"]) < min(starts["calibration"])


def test_of_ten_files_each_lies_in_one_part(tmp_path: Path) -> None:
    for letter in "abcdefghijkl":
        (tmp_path / "deep").mkdir(exist_ok=True)
        (tmp_path / "deep" / f"{letter}.txt").write_text(letter * 200)
    (tmp_path / "other.md").write_text("z" * 900)
    splits = TextFiles(path=str(tmp_path), length=9, num_examples=100_000).load()
    parts = [splits.train, splits.validation, splits.calibration, splits.test]
    letters = [set(np.unique(part.inputs["tokens"])) for part in parts]
    assert set.union(*letters) == set(b"abcdefghijkl") and sum(map(len, letters)) == 12


def test_the_same_seed_gives_the_same_and_fewer_can_be_asked_for(text: Path) -> None:
    one, other = (TextFiles(path=str(text), length=16, num_examples=50, split_seed=seed).load() for seed in (1, 2))
    again = TextFiles(path=str(text), length=16, num_examples=50, split_seed=1).load()
    assert len(one.train) == 30 and len(one.test) == 10
    assert np.array_equal(one.train.targets, again.train.targets)
    assert not np.array_equal(one.train.targets, other.train.targets)


def test_what_is_wrong_with_texts_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no file or folder"):
        TextFiles(path=str(tmp_path / "absent")).card()
    with pytest.raises(InvalidInput, match=r"no \*.txt"):
        TextFiles(path=str(tmp_path)).card()
    (tmp_path / "short.txt").write_text("too short")
    with pytest.raises(InvalidInput, match="no sequence of 128 tokens.*smaller length"):
        TextFiles(path=str(tmp_path)).load()
    (tmp_path / "short.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="not UTF-8.*save it again"):
        TextFiles(path=str(tmp_path)).load()


def csv(tmp_path: Path, folder: Path) -> TextCsv:
    lines = [f'"sum {n} words {"in words " * (n % 5)}",{"even" if n % 2 else "odd"}' for n in range(40)]
    (tmp_path / "texts.csv").write_text("text,label\n" + "\n".join(lines), encoding="utf-8")
    return TextCsv(path=str(tmp_path / "texts.csv"), length=12, tokenizer=str(folder))


def test_short_texts_are_filled_up_and_the_mask_tells(tmp_path: Path, folder: Path) -> None:
    data, ours = csv(tmp_path, folder), tokenizer.read(folder)
    inputs = data.load().train.inputs
    assert [spec.name for spec in data.card().inputs] == ["tokens", "attention_mask"] == list(inputs)
    tokens, mask = inputs["tokens"], inputs["attention_mask"]
    assert (tokens[mask == 0] == ours.padding).all() and 0 < mask.mean() < 1
    assert (np.diff(mask, axis=1) <= 0).all()  # what is read comes first
    assert ours.decode(tokens[0][mask[0] == 1].tolist()).startswith("sum ")


def notes(checkpoint: Path, card: DataCard) -> str:
    model = catalog.make("zoo", {"use": "hugging_face", "checkpoint": str(checkpoint)})
    return " ".join(model.card(card).notes)  # type: ignore[attr-defined]


def test_a_card_says_when_the_tokens_are_not_the_models_own(tmp_path: Path, text: Path, folder: Path) -> None:
    checkpoint, other = own_tokenizer.causal(tmp_path / "lm"), own_tokenizer.save(tmp_path / "other", words="x y " * 99)
    own = TextFiles(path=str(text), length=16, tokenizer=str(checkpoint)).card()
    strange = TextFiles(path=str(text), length=16, tokenizer=str(other)).card()
    assert "token" not in notes(checkpoint, own)
    assert "not by the model's own" in notes(checkpoint, strange)
    assert "256 of 320 tokens" in notes(checkpoint, TextFiles(path=str(text), length=16).card())


def test_more_tokens_than_a_model_knows_are_refused(tmp_path: Path) -> None:
    checkpoint, larger = own_tokenizer.encoder(tmp_path / "bert"), own_tokenizer.save(tmp_path / "larger", size=400)
    model = catalog.make("zoo", {"use": "hugging_face", "checkpoint": str(checkpoint)})
    said = model.why_not(csv(tmp_path, larger).card())  # type: ignore[attr-defined]
    assert len(said) == 1 and "knows 320 tokens" in said[0]
    assert not model.why_not(csv(tmp_path, checkpoint).card())  # type: ignore[attr-defined]
