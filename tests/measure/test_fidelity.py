"""Closeness to the parent on models whose distance is known by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from handmade import NUM_EXAMPLES, HandmadeContext, kept

from workbench.catalog import make
from workbench.errors import WorkbenchError
from workbench.measure import _fidelity

MIX = np.random.default_rng(1).normal(size=(3, 4))


def parent(pixels: np.ndarray) -> np.ndarray:
    return pixels @ MIX


def measured(folder: Path, model, **options):  # noqa: ANN001, ANN003, ANN202
    ctx = HandmadeContext(folder, {"this": model, "parent": parent})
    return ctx, {each.name: each for each in make("measure", {"use": "fidelity", **options}).measure(ctx)}  # type: ignore[attr-defined]


def test_an_equal_model_is_as_close_as_can_be(tmp_path: Path) -> None:
    _, found = measured(tmp_path, parent)
    assert found["cosine"].value == pytest.approx(1) and found["largest_gap"].value == 0
    assert found["kl_divergence"].value == pytest.approx(0, abs=1e-12)


def test_scaled_outputs_keep_their_direction_and_change_their_distribution(tmp_path: Path) -> None:
    _, found = measured(tmp_path, lambda pixels: 2 * parent(pixels))
    assert found["cosine"].value == pytest.approx(1) and found["kl_divergence"].value > 0.01


def test_a_shift_of_every_logit_keeps_the_distribution_and_is_the_gap(tmp_path: Path) -> None:
    _, found = measured(tmp_path, lambda pixels: parent(pixels) + 0.25)
    assert found["largest_gap"].value == pytest.approx(0.25)
    assert found["kl_divergence"].value == pytest.approx(0, abs=1e-12) and found["cosine"].value < 1


def test_kl_is_the_textbook_sum_from_the_parent_to_this() -> None:
    expected, outputs = np.log(np.array([[0.5, 0.5]])), np.log(np.array([[0.9, 0.1]]))
    apart = _fidelity.apart(outputs, expected, np.zeros(1, np.int64))
    assert apart["kl"][0] == pytest.approx(0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1))


def test_every_example_is_kept_and_the_mean_has_its_interval(tmp_path: Path) -> None:
    noise = np.random.default_rng(2).normal(0, 0.3, (NUM_EXAMPLES, 4))
    ctx, found = measured(tmp_path, lambda pixels: parent(pixels) + noise[: len(pixels)], split="test")
    samples = kept(ctx, found["cosine"].samples_in)
    assert samples["cosine"].shape == samples["kl"].shape == samples["gap"].shape == (NUM_EXAMPLES,)
    assert found["cosine"].lo < samples["cosine"].mean() == found["cosine"].value < found["cosine"].hi
    assert found["largest_gap"].value == samples["gap"].max()
    assert {each.conditions["split"] for each in found.values()} == {"test"}


def test_a_run_without_a_parent_gets_no_figure_and_a_word(tmp_path: Path) -> None:
    ctx = HandmadeContext(tmp_path, {"this": parent})
    assert make("measure", "fidelity").measure(ctx) == [] and "no parent" in ctx.said[0]  # type: ignore[attr-defined]


def test_padding_does_not_count() -> None:
    random = np.random.default_rng(3)
    expected = random.normal(size=(5, 7, 4))
    outputs, targets = expected.copy(), np.zeros((5, 7), np.int64)
    outputs[:, 4:] += 100 * random.normal(size=(5, 3, 4))
    targets[:, 4:] = -100
    apart = _fidelity.apart(outputs, expected, targets)
    assert apart["cosine"] == pytest.approx(np.ones(5)) and not apart["gap"].any()
    assert apart["kl"] == pytest.approx(np.zeros(5), abs=1e-12)


def test_one_output_is_no_distribution() -> None:
    apart = _fidelity.apart(np.ones((3, 1)), np.full((3, 1), 2.0), np.zeros(3))
    assert "kl" not in apart and apart["gap"] == pytest.approx(np.ones(3))


def test_silent_models_agree_with_each_other_only() -> None:
    silent, loud = np.zeros((1, 4)), np.ones((1, 4))
    assert _fidelity.apart(silent, silent, np.zeros(1))["cosine"] == [1.0]
    assert _fidelity.apart(silent, loud, np.zeros(1))["cosine"] == [0.0]


def test_other_shapes_are_refused_by_name() -> None:
    with pytest.raises(WorkbenchError, match=r"\(2, 4\).*\(2, 5\)"):
        _fidelity.apart(np.zeros((2, 4)), np.zeros((2, 5)), np.zeros(2))
