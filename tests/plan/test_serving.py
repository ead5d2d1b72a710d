"""Serving plans agree with calculations by hand; every device has an answer or a reason."""

from __future__ import annotations

import pytest

from workbench.errors import InvalidInput
from workbench.plan import devices, hardware, serving
from workbench.plan.architecture import known
from workbench.plan.hardware import Asked

H100 = devices.find("h100")


def way(
    name: str, num_devices: int, precision: str, tensor: int, batch: int | None = 1, context: int = 4096
) -> serving.Served:
    ways = serving.plan(known()[name], H100, num_devices, context=context, prompt=512, batch=batch)
    return next(each for each in ways if (each.precision, each.tensor) == (precision, tensor))


def test_one_token_takes_the_time_of_reading_the_weights() -> None:
    """70B in 16 bits over 8 × 3.35 TB/s of which 70 % are reached, and 160 reductions of 10 µs."""
    found = way("llama-3-70b", 8, "bfloat16", 8)
    by_hand = (70.55e9 - 128256 * 8192) * 2 / 8 / (3.35e12 * 0.7) + 160 * 10e-6
    assert found.seconds_per_token == pytest.approx(by_hand, rel=0.01)
    assert found.limit == "reading weights and caches"


def test_fewer_bits_answer_sooner_and_leave_room_for_more() -> None:
    ways = [way("llama-3-70b", 8, precision, 8, batch=None) for precision in ("bfloat16", "int8", "int4")]
    assert [each.max_batch for each in ways] == sorted(each.max_batch for each in ways)
    one = [way("llama-3-70b", 8, precision, 8).seconds_per_token for precision in ("bfloat16", "int8", "int4")]
    assert one == sorted(one, reverse=True)


def test_a_full_device_holds_weights_and_caches_and_one_more_is_too_much() -> None:
    full = way("llama-3-8b", 1, "bfloat16", 1, batch=None)
    room = serving.USABLE * H100.memory_bytes
    assert (
        full.weight_bytes + full.batch * full.cache_bytes
        <= room
        < full.weight_bytes + (full.batch + 1) * full.cache_bytes
    )
    over = way("llama-3-8b", 1, "bfloat16", 1, batch=full.max_batch + 1)
    assert not over.fits and "too much" in over.limit


def test_a_mixture_reads_two_experts_for_one_token_and_nearly_all_for_many() -> None:
    model = known()["mixtral-8x7b"]
    assert serving._weights_met(model, 1) == pytest.approx(model.active_params)
    assert serving._weights_met(model, 64) == pytest.approx(model.num_params - model.embedding_params, rel=0.01)


def test_every_device_has_an_answer_or_a_reason() -> None:
    answers = hardware.choose(known()["llama-3-8b"], Asked(token_ms=20, tokens_per_second=500))
    assert {answer.device.name for answer in answers} >= set(devices.known())
    for answer in answers:
        if answer.why_not:
            assert answer.served is None and len(answer.why_not) > 15
        else:
            assert answer.served and answer.served.fits and answer.served.seconds_per_token <= 0.020
    reasons = {answer.device.name: answer.why_not for answer in answers}
    assert not reasons["h100"] and "ms at best" in reasons["jetson-orin"]
    assert "spiking" in reasons["loihi-2"] and "qubits" in reasons["quantum"]


def test_a_model_that_is_too_large_says_by_how_much() -> None:
    answers = hardware.choose(known()["llama-3-405b"], Asked(precision="bfloat16"))
    reasons = {answer.device.name: answer.why_not for answer in answers}
    assert "don't fit" in reasons["t4"] and not reasons["b200"]


def test_the_cheapest_comes_first_and_a_budget_needs_prices() -> None:
    model = known()["llama-3-8b"]
    priced = hardware.choose(model, Asked(prices={"h100": 3.0, "l4": 0.5}))
    costs = [answer.cost for answer in priced if answer.cost is not None]
    assert len(costs) == 2 and costs == sorted(costs) and priced[0].cost == costs[0]
    limited = hardware.choose(model, Asked(prices={"h100": 3.0, "l4": 0.5}, cost=costs[0] * 1.01))
    within = {answer.device.name: answer.cost for answer in limited if not answer.why_not}
    assert priced[0].device.name in within
    assert all(cost is not None and cost <= costs[0] * 1.01 for cost in within.values())
    assert any("no price" in answer.why_not for answer in limited)


def test_a_context_past_the_models_is_refused() -> None:
    with pytest.raises(InvalidInput, match="past that of llama-3-8b"):
        serving.plan(known()["llama-3-8b"], H100, 1, context=9000, prompt=1)


def test_prompts_and_throughput_are_those_counted_by_hand() -> None:
    model = known()["llama-3-8b"]
    found = way("llama-3-8b", 8, "bfloat16", 2, batch=16)
    peak = H100.flops["bfloat16"] * serving.EFFICIENCY
    assert found.prompt_seconds == pytest.approx(512 * model.forward_flops(512) / 2 / peak + 2 * 32 * 10e-6)
    assert found.groups == 4 and found.tokens_per_second == pytest.approx(16 * 4 / found.seconds_per_token)
    assert found.cache_bytes == model.kv_bytes() * 4096 / 2
    many = way("llama-3-8b", 1, "bfloat16", 1, batch=100_000)
    assert many.seconds_per_token == pytest.approx(max(
        100_000 * 2 * model.active_params / peak,
        ((model.num_params - model.embedding_params) * 2 + 100_000 * many.cache_bytes) / (H100.memory_bandwidth * 0.7),
    ), rel=0.01)  # fmt: skip


def test_four_bits_are_counted_with_their_scales_and_the_embedding_stays() -> None:
    model = known()["llama-3-8b"]
    found = way("llama-3-8b", 1, "int4", 1)
    assert found.weight_bytes == (model.num_params - model.embedding_params) * 4.5 / 8 + 2 * model.embedding_params
