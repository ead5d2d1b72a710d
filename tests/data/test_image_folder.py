"""A person's folder of images, whole or already split, sound or broken."""

import numpy as np
import pytest

from workbench.data.image_folder import ImageFolder
from workbench.errors import InvalidInput

PARTS = ("train", "validation", "calibration", "test")
Image = pytest.importorskip("PIL.Image")


def write(folder, *, num_images, shade, mode="RGB", suffix="png", seed=0):
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng([seed, shade])
    for index in range(num_images):
        pixels = random.integers(shade, shade + 50, (12, 10, 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / f"{index}.{suffix}")


def test_classes_are_folders_and_every_part_has_each(tmp_path):
    write(tmp_path / "dark", num_images=20, shade=0)
    write(tmp_path / "light", num_images=20, shade=200, suffix="jpg")
    data = ImageFolder(folder=str(tmp_path), size=8)
    card, splits = data.card(), data.load()
    assert card.labels == ("dark", "light")
    for part in PARTS:
        examples = getattr(splits, part)
        assert len(examples) == card.num_examples[part] and set(examples.targets) == {0, 1}
        assert examples.inputs["pixels"].shape[1:] == (3, 8, 8)
        means = examples.inputs["pixels"].mean(axis=(1, 2, 3))
        assert means[examples.targets == 0].max() < 0.3 < 0.7 < means[examples.targets == 1].min()


def test_train_and_test_folders_are_taken_as_they_are(tmp_path):
    for part, count, seed in (("train", 30, 1), ("test", 7, 2)):
        write(tmp_path / part / "a", num_images=count, shade=0, seed=seed)
        write(tmp_path / part / "b", num_images=count, shade=100, seed=seed)
    data = ImageFolder(folder=str(tmp_path), size=8, channels=1)
    splits = data.load()
    assert len(splits.test) == 14 and len(splits.train) + len(splits.validation) + len(splits.calibration) == 60
    assert {part: len(getattr(splits, part)) for part in PARTS} == dict(data.card().num_examples)
    assert splits.train.inputs["pixels"].shape[1:] == (1, 8, 8)


def test_an_image_in_both_train_and_test_is_refused(tmp_path):
    for part in ("train", "test"):
        write(tmp_path / part / "a", num_images=12, shade=0)
        write(tmp_path / part / "b", num_images=12, shade=100, seed=len(part))
    with pytest.raises(InvalidInput, match="in both train and test"):
        ImageFolder(folder=str(tmp_path), size=8).load()


@pytest.mark.parametrize("mode, suffix", [("L", "png"), ("P", "png"), ("RGBA", "png"), ("CMYK", "jpg")])
def test_other_colour_modes_are_converted(tmp_path, mode, suffix):
    for label in ("a", "b"):
        write(tmp_path / label, num_images=5, shade=100, mode=mode, suffix=suffix)
    pixels = ImageFolder(folder=str(tmp_path), size=8).load().train.inputs["pixels"]
    assert pixels.shape[1:] == (3, 8, 8) and 0.3 < pixels.mean() < 0.7


def test_a_missing_folder_is_named():
    with pytest.raises(InvalidInput, match="no folder 'nowhere'"):
        ImageFolder(folder="nowhere").card()


def test_everything_wrong_with_a_folder_is_said_at_once(tmp_path):
    (tmp_path / "empty").mkdir()
    write(tmp_path / "few", num_images=2, shade=0)
    with pytest.raises(InvalidInput) as refused:
        ImageFolder(folder=str(tmp_path)).card()
    assert len(refused.value.problems) == 2 and "empty" in str(refused.value) and "2 images" in str(refused.value)


def test_corrupt_images_are_named(tmp_path):
    for label in ("a", "b"):
        write(tmp_path / label, num_images=6, shade=100)
    (tmp_path / "a" / "bad.png").write_bytes(b"not an image")
    whole = (tmp_path / "b" / "0.png").read_bytes()
    (tmp_path / "b" / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidInput) as refused:
        ImageFolder(folder=str(tmp_path)).load()
    assert "bad.png" in str(refused.value) and "cut.png" in str(refused.value)
