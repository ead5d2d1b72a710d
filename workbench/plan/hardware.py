"""Which hardware serves a model within a latency, a throughput and a budget, and why the rest does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench import ceilings
from workbench.plan import devices, serving
from workbench.plan.architecture import Architecture
from workbench.plan.devices import Device
from workbench.plan.serving import Served

REQUESTS = 1000


@dataclass(frozen=True)
class Asked:
    """What serving has to reach. A request reads `prompt` tokens and writes `generate`; prices are per device and hour."""

    prompt: int = 512
    generate: int = 128
    token_ms: float | None = None  # at most, for each generated token
    tokens_per_second: float | None = None  # at least, over all requests
    cost: float | None = None  # at most, for 1,000 requests
    precision: str | None = None  # of the weights; None = the quickest that fits
    most_devices: int = 64
    prices: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Answer:
    """The smallest number of one device that does it, or why none does."""

    device: Device
    num_devices: int = 0
    served: Served | None = None
    request_seconds: float | None = None  # of one request among `served.batch`
    joules: float | None = None  # for 1,000 requests; None where no power is known
    cost: float | None = None  # for 1,000 requests; None without a price
    why_not: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "device": self.device.name, "title": self.device.title, "kind": self.device.kind, "source": self.device.source,
            "num_devices": self.num_devices, "served": self.served.to_json() if self.served else None,
            "request_seconds": self.request_seconds, "joules_per_1000_requests": self.joules,
            "cost_per_1000_requests": self.cost, "why_not": self.why_not,
        }  # fmt: skip


def choose(model: Architecture, asked: Asked) -> list[Answer]:
    """Return an answer for each device of the data file, and this machine where it was measured; what works comes first."""
    candidates = [*devices.known().values(), *([devices.here()] if ceilings.known() else [])]
    answers = [_answer(model, device, asked) for device in candidates]

    def order(answer: Answer) -> tuple[bool, bool, float, float]:
        per_device = answer.served.tokens_per_second / answer.num_devices if answer.served else 0.0
        return bool(answer.why_not), answer.cost is None, answer.cost or 0.0, -per_device

    return sorted(answers, key=order)


def _answer(model: Architecture, device: Device, asked: Asked) -> Answer:
    if device.why_not:
        return Answer(device, why_not=device.why_not)
    nearest = ""
    num_devices = 1
    while num_devices <= asked.most_devices:
        ways = serving.plan(
            model, device, num_devices, context=asked.prompt + asked.generate, prompt=asked.prompt, batch=1
        )
        ways = [way for way in ways if asked.precision in (None, way.precision)]
        shortfalls = []
        for way in filter(lambda way: way.fits, ways):  # the quickest first
            found, short = _within(model, device, num_devices, way, asked)
            if found:
                return found
            shortfalls.append(short)
        nearest = shortfalls[0] if shortfalls else nearest
        if device.per_node == 1 and nearest:
            break  # more of them answer more requests, but none sooner
        num_devices *= 2
    if not nearest:
        smallest = min(ways, key=lambda way: way.weight_bytes)
        nearest = f"weights of {smallest.weight_bytes / 1e9:.3g} GB in {smallest.precision} on each of {smallest.tensor} don't fit"
    return Answer(device, why_not=nearest)


def _within(
    model: Architecture, device: Device, num_devices: int, way: Served, asked: Asked
) -> tuple[Answer | None, str]:
    """Return an answer with as many requests at once as the latency allows; or None, and what it falls short of."""
    context = asked.prompt + asked.generate
    best, batch = None, 1
    while batch <= way.max_batch:
        grown = serving.plan(model, device, num_devices, context=context, prompt=asked.prompt, batch=batch)
        same = next(each for each in grown if (each.precision, each.tensor) == (way.precision, way.tensor))
        if asked.token_ms is not None and same.seconds_per_token * 1e3 > asked.token_ms:
            break
        best, batch = same, batch * 2
    if best is None:
        return (
            None,
            f"a token takes {way.seconds_per_token * 1e3:.3g} ms at best ({way.precision}, {num_devices} devices)",
        )
    seconds = best.prompt_seconds * best.batch + best.seconds_per_token * asked.generate  # of a whole batch
    requests_per_second = best.batch * best.groups / seconds
    tokens_per_second = requests_per_second * asked.generate
    if asked.tokens_per_second is not None and tokens_per_second < asked.tokens_per_second:
        return None, f"{tokens_per_second:,.0f} tokens/s with {num_devices} devices ({best.precision})"
    price = (asked.prices or {}).get(device.name)
    busy = REQUESTS / requests_per_second
    cost = price * num_devices * busy / 3600 if price is not None else None
    if asked.cost is not None and (cost is None or cost > asked.cost):
        told = "no price was given" if cost is None else f"{cost:.3g} for {REQUESTS:,} requests"
        return None, f"{told} ({num_devices} devices, {best.precision})"
    joules = device.watts * num_devices * busy if device.watts else None
    return Answer(device, num_devices, best, seconds, joules, cost), ""
