"""The standard library as data: real text, whole files in one part only, version and content on the card."""

import numpy as np
import pytest

from workbench.data import _library_text
from workbench.data.python_source import PythonSource
from workbench.errors import InvalidInput

PARTS = ("train", "validation", "calibration", "test")


@pytest.mark.parametrize("task", ["language_model", "which_module"])
def test_train_and_test_share_no_file(task):
    source = PythonSource(task=task)
    groups = source._groups()
    assert groups
    for group in groups:
        dealt = _library_text.deal(group, seed=source.seed)
        files = [file for part in PARTS for file in dealt[part]]
        assert sorted(files) == sorted(group) and len(set(files)) == len(files)
        assert all(dealt[part] for part in PARTS)


def test_targets_of_a_language_model_are_the_next_bytes():
    splits = PythonSource(length=32, num_examples=200).load()
    tokens, targets = splits.train.inputs["tokens"], splits.train.targets
    assert np.array_equal(tokens[:, 1:], targets[:, :-1])
    assert tokens.dtype == targets.dtype == np.int64 and tokens.min() >= 0 and tokens.max() < 256
    assert "import" in tokens.astype(np.uint8).tobytes().decode("utf-8", "replace")


@pytest.mark.parametrize("task", ["language_model", "which_module"])
def test_the_card_foretells_the_splits(task):
    source = PythonSource(task=task, length=64, num_examples=500)
    card, splits = source.card(), source.load()
    assert {part: len(getattr(splits, part)) for part in PARTS} == dict(card.num_examples)
    assert splits.test.inputs["tokens"].shape[1:] == card.inputs[0].shape[1:]
    assert splits.train.targets.max() < card.num_classes


def test_every_package_is_in_every_part():
    source = PythonSource(task="which_module", length=64)
    splits, labels = source.load(), source.card().labels
    assert len(labels) == 10 and "asyncio" in labels
    for part in PARTS:
        assert set(getattr(splits, part).targets) == set(range(10))


def test_the_seed_decides_the_split_and_nothing_else_does():
    once, again, other = (PythonSource(num_examples=200, seed=seed).load().test.inputs["tokens"] for seed in (1, 1, 2))
    assert np.array_equal(once, again) and not np.array_equal(once, other)


def test_the_card_names_the_python_version_and_the_content():
    import platform

    first, second = PythonSource(), PythonSource(task="which_module")
    assert platform.python_version() in first.card().source and "sha256" in first.card().source
    assert first.card().source != second.card().source


def test_an_interpreter_without_source_text_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(_library_text.sysconfig, "get_path", lambda name: str(tmp_path))
    _library_text.packages.cache_clear()
    with pytest.raises(InvalidInput, match="no Python source text"):
        PythonSource().card()
    _library_text.packages.cache_clear()
