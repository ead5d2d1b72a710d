"""The drawn data set: repeatable, rare classes in every part, learnable but not trivial."""

import numpy as np
import pytest

from workbench.data.shapes import LABELS, RARE, Shapes

PARTS = ("train", "validation", "calibration", "test")


def test_the_same_parameters_give_the_same_pixels_and_another_seed_others():
    once, again, other = (Shapes(num_examples=500, seed=seed).load() for seed in (3, 3, 4))
    assert np.array_equal(once.test.inputs["pixels"], again.test.inputs["pixels"])
    assert not np.array_equal(once.test.inputs["pixels"], other.test.inputs["pixels"])


def test_the_parts_have_the_sizes_that_the_card_says_and_share_no_image():
    shapes = Shapes(num_examples=600, size=16)
    splits, card = shapes.load(), shapes.card()
    seen = [image.tobytes() for part in PARTS for image in getattr(splits, part).inputs["pixels"]]
    assert len(set(seen)) == len(seen) == 600
    assert {part: len(getattr(splits, part)) for part in PARTS} == dict(card.num_examples)
    assert splits.train.inputs["pixels"].shape[1:] == card.inputs[0].shape[1:] == (3, 16, 16)


def test_two_classes_are_rare_and_still_in_every_part():
    splits = Shapes(num_examples=1000).load()
    for part in PARTS:
        counts = np.bincount(getattr(splits, part).targets, minlength=10)
        rare = [counts[LABELS.index(label)] for label in RARE]
        common = [counts[LABELS.index(label)] for label in LABELS if label not in RARE]
        assert min(rare) > 0 and max(rare) * 4 <= min(common)


def test_every_drawing_shows_its_shape_inside_the_picture():
    from workbench.data import _drawing

    for label in LABELS:
        images = _drawing.images(label, 20, 32, np.random.default_rng(0))
        ground = images[:, :, 0, 0][:, :, None, None]
        share = (np.abs(images - ground).max(axis=1) > 0.05).mean(axis=(1, 2))
        assert share.min() > 0.02 and share.max() < 0.6, label
        border = np.concatenate([images[:, :, 0], images[:, :, -1], images[:, :, :, 0], images[:, :, :, -1]], axis=-1)
        assert np.abs(border - ground[..., 0]).max() < 1e-6, f"{label} leaves the picture"


def test_the_card_says_that_the_images_are_synthetic():
    assert Shapes().card().synthetic


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_pixels_stay_between_zero_and_one(noise):
    pixels = Shapes(num_examples=500, size=8, noise=noise).load().train.inputs["pixels"]
    assert pixels.dtype == np.float32 and pixels.min() >= 0 and pixels.max() <= 1
