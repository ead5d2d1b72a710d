"""Arrays made in a notebook cell: kept whole in one file, refused with every reason, and read back only unchanged."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench import catalog
from workbench.adopt import adopt_data
from workbench.data.arrays import Arrays
from workbench.errors import ArtifactError, InvalidInput

PARTS = ("train", "validation", "calibration", "test")


def images(num: int, *, seed: int = 0, size: int = 8, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(seed + num).random((num, 1, size, size)), np.arange(num) % classes


def adopted(folder: Path, **changes: Any) -> Arrays:
    made = catalog.make("data", adopt_data(**{"train": images(40), "test": images(20), "folder": folder, **changes}))
    assert isinstance(made, Arrays)
    return made


def test_what_is_adopted_is_read_back_and_what_lacks_is_cut_out_of_train(tmp_path: Path) -> None:
    train, test = images(40), images(20)
    part = adopted(tmp_path, train=train, test=test, labels=("a", "b", "c", "d"))
    splits, card = part.load(), part.card()
    assert {name: len(getattr(splits, name)) for name in PARTS} == dict(card.num_examples)
    assert dict(card.num_examples) == {"train": 32, "validation": 4, "calibration": 4, "test": 20}
    assert (card.num_classes, card.labels, card.task) == (4, ("a", "b", "c", "d"), "image-classification")
    assert card.inputs[0].name == "pixels" and card.inputs[0].shape == ("batch", 1, 8, 8)
    assert np.array_equal(splits.test.inputs["pixels"], test[0].astype(np.float32))
    assert np.array_equal(splits.test.targets, test[1]) and splits.test.targets.dtype == np.int64
    kept = np.concatenate([getattr(splits, name).inputs["pixels"] for name in PARTS[:3]])
    assert sorted(kept.sum(axis=(1, 2, 3))) == sorted(train[0].astype(np.float32).sum(axis=(1, 2, 3)))


def test_all_four_parts_are_kept_as_they_were_given(tmp_path: Path) -> None:
    given = {name: images(num) for name, num in zip(PARTS, (30, 7, 6, 11))}
    splits = adopted(tmp_path, **given).load()
    for name, (pixels, targets) in given.items():
        assert np.array_equal(getattr(splits, name).inputs["pixels"], pixels.astype(np.float32))
        assert np.array_equal(getattr(splits, name).targets, targets)


def test_the_cut_follows_the_seed(tmp_path: Path) -> None:
    part = adopted(tmp_path)
    cuts = [part.model_copy(update={"split_seed": seed}).load().validation.inputs["pixels"] for seed in (0, 0, 1)]
    assert np.array_equal(cuts[0], cuts[1]) and not np.array_equal(cuts[0], cuts[2])


def test_equal_arrays_are_one_file_and_other_ones_another(tmp_path: Path) -> None:
    first, again, other = (
        adopt_data(train=images(40), test=images(20, seed=seed), folder=tmp_path, name="My Data!") for seed in (0, 0, 1)
    )
    assert first == again != other
    assert Path(first["path"]).name == f"my_data-{first['sha256'][:10]}.npz"
    assert len(list(tmp_path.iterdir())) == 2


def test_the_file_holds_no_pickle(tmp_path: Path) -> None:
    path = adopted(tmp_path).path
    with np.load(path, allow_pickle=False) as arrays:
        assert set(arrays) == {"about", "train/inputs/pixels", "train/targets", "test/inputs/pixels", "test/targets"}
        assert all(array.dtype != object for array in arrays.values())


def test_tokens_of_a_language_model_need_no_targets(tmp_path: Path) -> None:
    def tokens(num: int) -> np.ndarray:
        return np.random.default_rng(num).integers(0, 7, (num, 9))

    part = adopted(tmp_path, train=tokens(40), test=tokens(10), task="language-modelling")
    train = part.load().train
    assert part.card().num_classes == 7 and part.card().labels == ()
    assert np.array_equal(train.inputs["tokens"][:, 1:], train.targets[:, :-1])


def test_several_inputs_and_unlabelled_data_keep_their_names(tmp_path: Path) -> None:
    def pair(num: int) -> dict[str, np.ndarray]:
        return {"left": images(num)[0], "right": images(num, seed=5)[0]}

    part = adopted(tmp_path, train=pair(20), test=pair(5), task="unlabelled")
    assert [each.name for each in part.card().inputs] == ["left", "right"] and part.card().num_classes == 0
    assert set(part.load().test.inputs) == {"left", "right"}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"train": images(40)[0]}, r"train part: is ndarray, not \(inputs, targets\)"),
        ({"test": (images(20)[0], np.arange(19))}, "test part: needs one target for each"),
        ({"test": (images(20)[0], np.zeros(20))}, "class numbers"),
        ({"test": (np.full((20, 1, 8, 8), np.nan), np.zeros(20, int))}, "holds NaN or infinity"),
        ({"test": (images(20)[0], np.full(20, -1))}, "negative"),
        ({"test": ([[1, 2], [3]], [0, 1])}, "test part: .*inhomogeneous"),
        ({"test": (np.array([["a"]]), np.zeros(1, int))}, "numbers .* are needed"),
        ({"test": images(20, size=9)}, "test part: inputs are pixels float32 .1, 9, 9., those of train"),
        ({"calibration": (images(6)[0][:, 0], images(6)[1])}, "calibration part: inputs are"),
        ({"labels": ("a", "b")}, "at least 4 classes, not 2"),
        ({"test": (images(40)[0][:3], images(40)[1][:3])}, "3 examples are in both train and test"),
        ({"task": "image-clasification"}, "is none of image-classification"),
        ({"train": (images(1)[0], images(1)[1])}, "too few"),
        (
            {"train": (images(40)[0], np.full(40, -100)), "test": (images(20)[0], np.full(20, -100))},
            "no target is a class",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason_and_leaves_no_file(
    tmp_path: Path, changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        adopted(tmp_path, **changes)
    assert list(tmp_path.iterdir()) == []


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    wrong = {"train": 5, "test": (images(20)[0], np.zeros(20)), "validation": images(5, size=9), "task": "nothing"}
    with pytest.raises(InvalidInput) as told:
        adopted(tmp_path, **wrong)
    assert len(told.value.problems) == 3
    with pytest.raises(InvalidInput) as told:
        adopted(tmp_path, labels=("a", "b"), test=(images(40)[0][:3], images(40)[1][:3]))
    assert len(told.value.problems) == 2


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    part = adopted(tmp_path)
    Path(part.path).unlink()
    for look in (part.card, part.load):
        with pytest.raises(InvalidInput, match=r"no file .*adopt the data again"):
            look()


@pytest.mark.parametrize(
    "spoil", [lambda text: text[:-100], lambda text: text[:5000] + b"x" + text[5001:], lambda _: b""]
)
def test_a_changed_or_truncated_file_is_refused_by_its_hash(tmp_path: Path, spoil: Any) -> None:
    part = adopted(tmp_path)
    part.card()  # what was checked once is checked again when the file changes
    path = Path(part.path)
    path.write_bytes(spoil(path.read_bytes()))
    for look in (part.card, part.load):
        with pytest.raises(ArtifactError, match="changed or truncated"):
            look()


def test_without_a_hash_a_truncated_or_foreign_file_is_still_refused(tmp_path: Path) -> None:
    path = Path(adopted(tmp_path).path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ArtifactError, match="not a whole file of adopted data"):
        Arrays(path=str(path)).card()
    np.savez(tmp_path / "foreign.npz", x=np.zeros(3))
    with pytest.raises(ArtifactError, match="not a whole file of adopted data"):
        Arrays(path=str(tmp_path / "foreign.npz")).card()


def test_a_file_with_a_pickle_in_it_is_never_unpickled(tmp_path: Path) -> None:
    path = Path(adopted(tmp_path).path)
    np.savez(tmp_path / "evil.npz", about=np.array([print], dtype=object))
    with zipfile.ZipFile(tmp_path / "evil.npz") as evil, zipfile.ZipFile(path, "w") as archive:
        archive.writestr("about.npy", evil.read("about.npy"))
    with pytest.raises(ArtifactError, match="allow_pickle"):
        Arrays(path=str(path)).load()
