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
    assert sharded["activations"] == alone["activations"]
    gathered = (
        2 * WANTED.length * model.layers * 3 * model.hidden
    )  # tokens of all ranks, before three matrices of a block
    assert split["activations"] == alone["activations"] / 8 + gathered
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


def test_each_axis_sends_what_a_ring_does() -> None:
    """All-reduce: twice (n − 1) / n of the bytes; gather and scatter: once. 4 reductions a block, 6 when recomputing."""
    model = known()["llama-3-8b"]
    sent = training.bytes_sent(model, Wanted(16, 4096), Layout(4, 2, 1, 1, False))
    whole = model.layers * model.block_params + model.head_params
    assert sent["replicate"] == whole / 2 * 4 * 2 * 3 / 4
    assert sent["shard"] == whole * (2 * 2 * 2 + 4) / 2, "two micro-batches a rank, each gathered twice"
    staged = training.bytes_sent(model, Wanted(16, 4096), Layout(1, 2, 4, 2, False))
    again = training.bytes_sent(model, Wanted(16, 4096), Layout(1, 2, 4, 2, True))
    tokens = 8 * 4096
    assert staged["tensor"] == tokens * 16 * 4096 * 2 * 4 * 2 * 3 / 4 == again["tensor"] * 4 / 6
    assert staged["pipeline"] == 2 * tokens * 4096 * 2 / 4
    half = (16 * model.block_params + model.head_params) / 4
    assert staged["shard"] == half * (2 + 4) / 2, "a pipeline gathers once a step"


def test_the_parts_of_memory_are_those_counted_by_hand() -> None:
    model, wanted = known()["llama-3-8b"], Wanted(8, 1000)
    sharded = training.memory_of(model, wanted, Layout(1, 8, 1, 1, False), 0)
    outside = model.embedding_params + model.head_params
    assert sharded["gathered"] == 2 * (2 * model.block_params + outside)
    assert sharded["scores"] == 1000 * 128256 * (2 + 12)
    whole, inputs = model.block_activations()
    assert sharded["activations"] == 1000 * 2 * 32 * whole
    again = training.memory_of(model, wanted, Layout(1, 8, 1, 1, True), 0)
    assert again["activations"] == 1000 * 2 * (32 * inputs + whole)
    first, last = (training.memory_of(model, wanted, Layout(1, 2, 2, 2, False), stage) for stage in (0, 1))
    half = (16 * model.block_params + model.embedding_params) / 2
    assert first["gathered"] == (2 + 4) * half and first["parameters"] == 4 * half / 2 and first["scores"] == 0
    assert last["scores"] == 1000 * 128256 / 2 * 14
    alone = training.memory_of(
        model, replace(wanted, precision="float32", optimizer="sgd"), Layout(1, 1, 1, 1, False), 0
    )
    assert alone["gathered"] == 0 and alone["optimizer"] == 4 * model.num_params


def test_the_seconds_of_a_step_are_those_counted_by_hand() -> None:
    model, wanted = known()["llama-3-8b"], Wanted(64, 4096)
    found = {each.layout: each for each in training.plan(model, H100, 16, wanted)}
    plain, again = found[Layout(1, 16, 1, 1, False)], found[Layout(1, 16, 1, 1, True)]
    flops = model.forward_flops(4096) * 64 * 4096
    assert plain.seconds["compute"] == pytest.approx(3 * flops / (16 * H100.flops["bfloat16"] * 0.5))
    assert again.seconds["compute"] == pytest.approx(plain.seconds["compute"] * 4 / 3)
    slow = plain.sent["shard"] / (H100.network_bandwidth * 0.8)  # sixteen ranks are past a node
    assert plain.seconds["data"] == pytest.approx(max(0.0, slow - 0.8 * plain.seconds["compute"]))
    split = found[Layout(1, 2, 8, 1, False)]
    assert split.seconds["tensor"] == pytest.approx(split.sent["tensor"] / (H100.link_bandwidth * 0.8))
    assert plain.tokens_per_second == pytest.approx(64 * 4096 / plain.step_seconds)
    assert plain.share_of_peak == pytest.approx(3 * flops / (16 * H100.flops["bfloat16"] * plain.step_seconds))
    assert plain.joules == pytest.approx(16 * H100.watts * plain.step_seconds)
    uneven = training.plan(model, H100, 5, Wanted(10, 4096))
    staged = next(each for each in uneven if each.layout == Layout(1, 1, 1, 5, False))
    alone = 3 * model.forward_flops(4096) * 10 * 4096 / (5 * H100.flops["bfloat16"] * 0.5)
    assert staged.seconds["compute"] == pytest.approx(alone * 35 / 32), (
        "the fullest of five stages has seven of 32 blocks"
    )
