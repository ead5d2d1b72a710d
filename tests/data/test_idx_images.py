"""MNIST's files as they come: plain and packed, whole and damaged."""

import gzip
import struct

import numpy as np
import pytest

from workbench.data.idx_images import IdxImages
from workbench.errors import InvalidInput

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.fixture
def folder(tmp_path):
    return IdxImages.sample(tmp_path)["folder"], tmp_path / "idx"


def test_the_files_become_images_between_0_and_1_with_their_labels(folder):
    path, _ = folder
    data = IdxImages(folder=path)
    card, splits = data.card(), data.load()
    assert card.inputs[0].shape == ("batch", 1, 8, 8) and card.labels == ("0", "1")
    assert {part: len(getattr(splits, part)) for part in card.num_examples} == dict(card.num_examples)
    assert len(splits.test) == 20 and len(splits.train) + len(splits.validation) + len(splits.calibration) == 60
    bright = splits.train.inputs["pixels"].mean(axis=(1, 2, 3)) > 0.4
    assert np.array_equal(bright, splits.train.targets == 1)


def test_bytes_are_read_in_the_order_that_the_format_says(tmp_path, folder):
    """An image written by hand: rows first, the largest byte is 1.0."""
    path, files = folder
    image = np.arange(60 * 2 * 3, dtype=np.uint8).reshape(60, 2, 3)
    (files / IMAGES).write_bytes(b"\0\0\x08\x03" + struct.pack(">3I", 60, 2, 3) + image.tobytes())
    (files / "t10k-images-idx3-ubyte").write_bytes(
        b"\0\0\x08\x03" + struct.pack(">3I", 20, 2, 3) + bytes([255] * 119 + [0])
    )
    splits = IdxImages(folder=path).load()
    assert splits.test.inputs["pixels"].max() == 1.0 and splits.test.inputs["pixels"][-1, 0, 1, 2] == 0
    assert any(np.allclose(each[0] * 255, image[7]) for each in splits.train.inputs["pixels"])


def test_packed_files_give_the_same(folder):
    path, files = folder
    before = IdxImages(folder=path).load().train.inputs["pixels"]
    for file in list(files.iterdir()):
        (files / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    assert np.array_equal(IdxImages(folder=path).load().train.inputs["pixels"], before)


def test_fewer_train_images_can_be_asked_for(folder):
    data = IdxImages(folder=folder[0], num_train=30)
    splits = data.load()
    assert sum(data.card().num_examples.values()) == 50
    assert len(splits.train) + len(splits.validation) + len(splits.calibration) == 30


@pytest.mark.parametrize("keep", [0, 3, 10, 17, 500])
def test_a_truncated_file_is_refused_by_name(folder, keep):
    path, files = folder
    (files / IMAGES).write_bytes((files / IMAGES).read_bytes()[:keep])
    with pytest.raises(InvalidInput, match=IMAGES):
        IdxImages(folder=path).load()


def test_a_damaged_packed_file_is_refused(folder):
    path, files = folder
    packed = gzip.compress((files / LABELS).read_bytes())
    (files / LABELS).unlink()
    (files / f"{LABELS}.gz").write_bytes(packed[:-9])
    with pytest.raises(InvalidInput, match="can't be read"):
        IdxImages(folder=path).load()


def test_a_header_that_lies_about_its_size_is_refused(folder):
    path, files = folder
    body = (files / IMAGES).read_bytes()
    (files / IMAGES).write_bytes(body[:4] + struct.pack(">I", 0xFFFFFFFF) + body[8:])
    with pytest.raises(InvalidInput, match="numbers"):
        IdxImages(folder=path).card()


def test_labels_and_images_must_be_as_many(folder):
    path, files = folder
    (files / LABELS).write_bytes(b"\0\0\x08\x01" + struct.pack(">I", 59) + bytes(i % 2 for i in range(59)))
    with pytest.raises(InvalidInput, match="60 train images, but 59 labels"):
        IdxImages(folder=path).load()


def test_a_missing_file_is_named_with_what_is_expected(folder):
    path, files = folder
    (files / LABELS).unlink()
    with pytest.raises(InvalidInput, match=LABELS) as caught:
        IdxImages(folder=path).card()
    assert "t10k" in str(caught.value)
