"""What is said before a run is what is measured after it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.conftest import small_job
from workbench import bench, catalog
from workbench.estimate import NO_CEILINGS, ZEROS, artifact_band, dense_bytes, estimate
from workbench.nouns import Cost, ModelCard

CEILINGS = {
    "float32_gflops": 100.0, "float32_row_gflops": 25.0, "bfloat16_gflops": 200.0, "bfloat16_row_gflops": 20.0,
    "int8_gflops": 400.0, "int8_row_gflops": 50.0, "read_gb_per_s": 30.0, "call_us": 2.5,
}  # fmt: skip
WHOLE = {"use": "lenet_300_100"}


def cards(*steps: object, model: object = WHOLE, format: str = "onnx") -> list[ModelCard]:
    job = small_job(model=model, steps=list(steps), format=format)
    return job.cards(job.model.card(job.data.card()))  # type: ignore[attr-defined]


def last(*steps: object, model: object = WHOLE, format: str = "onnx", **ceilings: float) -> Cost:
    return estimate(cards(*steps, model=model, format=format), format, {**CEILINGS, **ceilings})[-1]


@pytest.mark.parametrize(
    ("steps", "format"),
    [
        ([], "onnx"),
        (["int8_dynamic"], "onnx"),
        (["int8_static"], "onnx"),
        ([], "pt2"),
        (["bfloat16"], "pt2"),
        (["weight_only"], "onnx"),
        ([{"use": "weight_only", "bits": 2, "symmetric": False}], "onnx"),
        (["weight_only"], "pt2"),
        ([{"use": "weight_only", "bits": 3, "symmetric": False}], "pt2"),
        ([{"use": "weight_only", "bits": 8, "group_size": None}], "pt2"),
        ([{"use": "weight_only", "method": "hqq", "symmetric": False}], "pt2"),
    ],
    ids=["onnx", "dynamic", "static", "pt2", "bf16", "int4", "int2", "int4 pt2", "int3 pt2", "int8 pt2", "hqq pt2"],
)
def test_measured_bytes_lie_in_the_estimated_band(shared_store, steps: list[str], format: str) -> None:  # noqa: ANN001
    job = small_job(model=WHOLE, steps=[{"use": "train", "epochs": 1}, *steps], format=format)
    run = bench.carry_out(job, shared_store)
    assert run.status == "done", run.error
    card = job.cards(job.model.card(job.data.card()))[-1]
    measured = run.get("artifact_bytes").value
    low, high = artifact_band(card, format)
    assert low <= measured <= high
    assert estimate([card], format)[0].artifact_bytes == pytest.approx(measured, rel=0.06)
    assert dense_bytes(card, format) == run.get("dense_bytes").value


def test_every_step_has_its_cost() -> None:
    job = small_job(steps=["train", {"use": "magnitude_prune", "sparsity": 0.8}, "int8_dynamic"])
    found = estimate(job.cards(job.model.card(job.data.card())), "onnx", CEILINGS)
    assert len(found) == 4
    assert found[3].artifact_bytes < found[2].artifact_bytes == found[0].artifact_bytes


def test_unstructured_zeros_change_neither_bytes_nor_milliseconds_and_it_says_why() -> None:
    before, after = last(), last({"use": "magnitude_prune", "sparsity": 0.9})
    assert after.nonzero_params < 0.15 * before.nonzero_params
    assert replace(after, nonzero_params=0, notes=()) == replace(before, nonzero_params=0, notes=())
    assert ZEROS in after.notes
    assert ZEROS not in before.notes


def test_removed_channels_change_bytes_and_operations() -> None:
    before = last(model={"use": "lenet_5"})
    after = last({"use": "channel_prune", "ratio": 0.5}, model={"use": "lenet_5"})
    assert after.artifact_bytes < 0.5 * before.artifact_bytes
    assert after.macs < 0.5 * before.macs


def test_operations_are_counted_by_hand_for_a_perceptron() -> None:
    assert last().macs == 64 * 300 + 300 * 100 + 100 * 10


def test_without_ceilings_there_is_no_latency_but_the_way_to_get_one() -> None:
    cost = estimate(cards(), "onnx", None)[-1]
    assert (cost.latency_ms_low, cost.latency_ms_high) == (None, None)
    assert NO_CEILINGS in cost.notes


def test_a_faster_machine_gives_a_lower_band() -> None:
    slow, fast = (
        last(model={"use": "lenet_5"}),
        last(model={"use": "lenet_5"}, float32_gflops=1000, float32_row_gflops=250),
    )
    assert 0 < fast.latency_ms_low < slow.latency_ms_low < slow.latency_ms_high
    assert fast.latency_ms_high < slow.latency_ms_high


def test_a_dtype_that_is_quicker_for_one_row_still_gives_a_band_from_low_to_high() -> None:
    odd = last(model={"use": "lenet_5"}, float32_gflops=1.0, float32_row_gflops=20.0, call_us=0.0)
    assert odd.latency_ms_low < odd.latency_ms_high


def test_latency_is_never_estimated_below_the_peak_of_the_machine() -> None:
    cost = last(model={"use": "lenet_5"}, call_us=0.0)
    assert cost.latency_ms_low == pytest.approx(2 * cost.macs / 100e9 * 1e3)


def test_weights_that_outgrow_the_caches_are_bound_by_reading_them() -> None:
    large = {"use": "lenet_300_100", "hidden_1": 4096, "hidden_2": 4096}
    quick = last(model=large, read_gb_per_s=1e6, call_us=0.0)
    slow = last(model=large, read_gb_per_s=1.0, call_us=0.0)
    assert slow.latency_ms_high > 2 * quick.latency_ms_high


def test_an_unknown_format_gives_parameter_bytes_and_says_so() -> None:
    card = cards()[0]
    cost = estimate([card], "stone_tablet", CEILINGS)[0]
    assert artifact_band(card, "stone_tablet") is None
    assert cost.artifact_bytes == cost.dense_bytes == 50_610 * 4
    assert cost.latency_ms_low is None
    assert "stone_tablet" in cost.notes[0]


def test_every_format_of_the_catalog_has_an_estimate() -> None:
    missing = [name for name in catalog.names("formats") if artifact_band(cards()[0], name) is None]
    assert missing == []


def test_skipped_layers_keep_their_width() -> None:
    all_layers = dense_bytes(cards("int8_dynamic")[-1], "onnx")
    but_one = dense_bytes(cards({"use": "int8_dynamic", "skip": ["fc1"]})[-1], "onnx")
    assert but_one - all_layers == 3 * 64 * 300


def test_unpacking_at_each_call_makes_a_pt2_slower_than_float_and_onnx_does_it_in_its_kernel() -> None:
    large = {"use": "lenet_300_100", "hidden_1": 4096, "hidden_2": 4096}
    pt2, plain = (last(*steps, model=large, format="pt2") for steps in (["weight_only"], []))
    assert pt2.latency_ms_low > 2 * plain.latency_ms_low
    assert pt2.latency_ms_high > 2 * plain.latency_ms_high
    onnx, plain = (last(*steps, model=large) for steps in (["weight_only"], []))
    assert onnx.latency_ms_low == pytest.approx(plain.latency_ms_low)


def test_a_job_of_unknown_operations_has_no_latency() -> None:
    card = cards()[0]
    unknown = card.with_layers(tuple(replace(layer, macs=None) for layer in card.layers))
    cost = estimate([unknown], "onnx", CEILINGS)[0]
    assert cost.macs is None
    assert cost.latency_ms_low is None
