"""What a layout takes agrees with calculations by hand, and only legal ones are shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from workbench.errors import InvalidInput
from workbench.plan import devices, training
from workbench.plan.architecture import known
from workbench.plan.training import Layout, Wanted

GIB = 2**30
H100 = devices.find("h100")
WANTED = Wanted(batch=512, length=4096)


def test_state_agrees_with_the_published_calculation() -> None:
    """70.55e9 × 4 bytes / 64 = 4.11 GiB for each of parameters, gradients and the two moments."""
    memory = training.memory_of(known()["llama-3-70b"], WANTED, Layout(1, 64, 1, 1, False), 0)
    assert memory["parameters"] / GIB == pytest.approx(4.11, abs=0.005) == memory["gradients"] / GIB
    assert memory["optimizer"] / GIB == pytest.approx(2 * 4.11, abs=0.01)


@pytest.mark.parametrize(("name", "num_devices"), [("llama-3-8b", 8), ("llama-3-70b", 64), ("llama-3-405b", 16384)])
def test_every_layout_is_legal_and_those_that_fit_come_first(name: str, num_devices: int) -> None:
    model, wanted = known()[name], replace(WANTED, batch=2048)
    found = training.plan(model, H100, num_devices, wanted)
    for each in found:
        layout = each.layout
        assert layout.replicate * layout.shard * layout.tensor * layout.pipeline == num_devices
        assert model.heads % layout.tensor == model.kv_heads % layout.tensor == model.ffn % layout.tensor == 0
        assert layout.pipeline <= model.layers and wanted.batch % layout.data == 0
        assert layout.shard > 1 or layout.data == 1 or layout.tensor * layout.pipeline == 1
        assert each.fits == (each.memory_bytes <= training.USABLE * H100.memory_bytes)
        assert 0 < each.share_of_peak <= training.EFFICIENCY * (1 + 1e-9)
    fits = [each.fits for each in found]
    assert fits == sorted(fits, reverse=True) and any(fits)
    times = [each.step_seconds for each in found if each.fits]
    assert times == sorted(times)
    assert len({each.layout for each in found}) == len(found)


def test_a_small_machine_is_told_what_is_too_much() -> None:
    first = training.plan(known()["llama-3-70b"], devices.find("t4"), 8, replace(WANTED, precision="bfloat16"))[0]
    assert not first.fits and "GB too much" in first.limit


def test_each_axis_saves_what_it_shares() -> None:
    model = known()["llama-3-8b"]
    alone, sharded, split, staged, again = (
        training.memory_of(model, WANTED, layout, 0)
        for layout in (
            Layout(1, 1, 1, 1, False), Layout(1, 8, 1, 1, False), Layout(1, 1, 8, 1, False), Layout(1, 1, 1, 8, False),
            Layout(1, 1, 1, 1, True),
        )
    )  # fmt: skip
    assert sharded["parameters"] * 8 == alone["parameters"] == split["parameters"] * 8
    assert sharded["activations"] == alone["activations"] == 8 * split["activations"]
    assert alone["parameters"] / 8 < staged["parameters"] < alone["parameters"] / 4  # the embedding lies on one stage
    assert staged["activations"] == alone["activations"], "the first stage keeps eight micro-batches of an eighth"
    assert again["activations"] < alone["activations"] / 12


def test_the_last_stage_of_a_tied_model_has_a_copy_of_the_embedding() -> None:
    model, layout = known()["qwen2.5-0.5b"], Layout(1, 1, 1, 2, False)
    first, last = (training.memory_of(model, WANTED, layout, stage)["parameters"] for stage in (0, 1))
    assert last - first == pytest.approx(4 * model.norm_params)


def test_pipelines_idle_less_with_more_micro_batches() -> None:
    model = known()["llama-3-8b"]
    for batch in (8, 64):
        staged = next(
            each for each in training.plan(model, H100, 8, Wanted(batch, 4096)) if each.layout == Layout(1, 1, 1, 8, False)
        )  # fmt: skip
        assert staged.seconds["bubble"] == pytest.approx(staged.seconds["compute"] * 7 / batch)


def test_sharding_sends_three_times_the_parameters() -> None:
    """Gathered forward and backward in 16 bits, gradients scattered in 32: 8 bytes a parameter, 7 of 8 from others."""
    model = known()["llama-3-8b"]
    sent = training.bytes_sent(model, Wanted(8, 4096), Layout(1, 8, 1, 1, False))
    outside = max(model.embedding_params, model.head_params)
    assert sent["shard"] == (model.layers * model.block_params + outside) * 8 * 7 / 8
    assert sent["replicate"] == sent["tensor"] == sent["pipeline"] == 0


def test_what_can_not_be_planned_is_refused_with_the_reason() -> None:
    model = known()["llama-3-8b"]
    with pytest.raises(InvalidInput, match="past the context"):
        training.plan(model, H100, 8, Wanted(8, 9000))
    with pytest.raises(InvalidInput, match="no legal layout"):
        training.plan(model, H100, 7 * 64, Wanted(5, 4096))
    with pytest.raises(InvalidInput, match="no figure"):
        training.plan(model, devices.find("gaudi3"), 8, Wanted(8, 4096, precision="float32"))
    with pytest.raises(InvalidInput, match="did you mean h100"):
        devices.find("h10")
    with pytest.raises(InvalidInput, match="qubits"):
        devices.find("quantum")
