"""Every legal layout of a training step over N devices: memory of the fullest rank, time, what limits it.

State is counted as this library's layouts keep it: parameters, gradients and optimizer in float32, a copy in the computing
precision of what is gathered. Pipelines run 1F1B; their ranks keep a stage's parameters gathered for the whole step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from workbench.errors import InvalidInput
from workbench.extents import Extents
from workbench.plan.architecture import Architecture
from workbench.plan.devices import Device

USABLE = 0.92  # share of a device's memory; the rest is the driver's, the libraries' and lost between blocks
EFFICIENCY = 0.5  # share of the peak that products of matrices reach
BANDWIDTH = 0.8  # share of a link that collectives reach
OVERLAP = 0.8  # share of the computing time that gathering and reducing can hide behind
BYTES = {"float32": 4, "bfloat16": 2}
OPTIMIZER = {"adamw": 8, "sgd": 4}  # bytes of state per parameter: two moments, or one momentum, in float32


@dataclass(frozen=True)
class Wanted:
    """One optimizer step: `batch` sequences of `length` tokens in all, `micro_batch` of them at once on a rank."""

    batch: int
    length: int
    micro_batch: int = 1
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    optimizer: Literal["adamw", "sgd"] = "adamw"


@dataclass(frozen=True)
class Layout:
    """Ranks along each axis; the product is the number of devices. Sequence parallel goes with tensor parallel."""

    replicate: int
    shard: int
    tensor: int
    pipeline: int
    recompute: bool

    @property
    def data(self) -> int:
        return self.replicate * self.shard

    def __str__(self) -> str:
        axes = ("replicate", "shard", "tensor", "pipeline")
        told = [f"{name}={getattr(self, name)}" for name in axes if getattr(self, name) > 1]
        return " ".join(told or ["one device"]) + (" recompute" if self.recompute else "")


@dataclass(frozen=True)
class Planned:
    """A layout with what it takes. `memory`: bytes of the fullest rank by part; `seconds`: of one step by part."""

    layout: Layout
    memory: dict[str, float]
    seconds: dict[str, float]
    sent: dict[str, float]  # bytes that a rank sends in a step, by axis
    fits: bool
    tokens_per_second: float
    share_of_peak: float  # useful operations per second over the peak; what is recomputed isn't useful
    joules: float | None
    limit: str

    @property
    def memory_bytes(self) -> float:
        return sum(self.memory.values())

    @property
    def step_seconds(self) -> float:
        return sum(self.seconds.values())

    def to_json(self) -> dict[str, Any]:
        axes = ("replicate", "shard", "tensor", "pipeline", "recompute")
        layout = {name: getattr(self.layout, name) for name in axes}
        own = ("memory", "seconds", "sent", "fits", "memory_bytes", "step_seconds", "tokens_per_second", "share_of_peak",
               "joules", "limit")  # fmt: skip
        return {"layout": layout, **{name: getattr(self, name) for name in own}}


def plan(model: Architecture, device: Device, num_devices: int, wanted: Wanted) -> list[Planned]:
    """Return all legal layouts, those that fit first, then the fastest; raises InvalidInput when there is none."""
    if device.peak(wanted.precision) is None:
        raise InvalidInput([f"no figure is known for {wanted.precision} on {device.title}"])
    if wanted.length > model.context:
        raise InvalidInput([f"length {wanted.length} is past the context of {model.name}, {model.context} tokens"])
    found = [_planned(model, device, wanted, layout) for layout in layouts(model, device, num_devices, wanted)]
    if not found:
        raise InvalidInput(
            [f"no legal layout of {num_devices} devices: a batch of {wanted.batch} sequences in micro-batches of "
             f"{wanted.micro_batch} doesn't divide over the data ranks, or {model.heads} heads over the tensor ranks"],
            next_move="choose a batch that is a multiple of micro-batch × devices, or fewer devices",
        )  # fmt: skip
    return sorted(found, key=lambda each: (not each.fits, each.step_seconds if each.fits else each.memory_bytes))


def layouts(model: Architecture, device: Device, num_devices: int, wanted: Wanted) -> Iterator[Layout]:
    """Yield what `Extents` finds right for this model, with tensor ranks within a node and data ranks that are all full."""
    split = {"heads": model.heads, "kv_heads": model.kv_heads or model.heads, "width": model.ffn}
    for tensor in _divisors(num_devices):
        if tensor > device.per_node or Extents(tensor=tensor).why_not_split(split):
            continue
        for pipeline in _divisors(num_devices // tensor):
            data = num_devices // tensor // pipeline
            if Extents(pipeline=pipeline).why_not_cut(model.layers) or wanted.batch % (data * wanted.micro_batch):
                continue
            for shard in _divisors(data):
                if Extents(data // shard, shard, tensor, pipeline).why_not_together():
                    continue
                for recompute in (False, True):
                    yield Layout(data // shard, shard, tensor, pipeline, recompute)


def _divisors(number: int) -> list[int]:
    return [each for each in range(1, number + 1) if number % each == 0]


def _planned(model: Architecture, device: Device, wanted: Wanted, layout: Layout) -> Planned:
    memory = max(
        (memory_of(model, wanted, layout, stage) for stage in {0, layout.pipeline - 1}),
        key=lambda parts: sum(parts.values()),
    )
    sent = bytes_sent(model, wanted, layout)
    seconds = _seconds(model, device, wanted, layout, sent)
    step = sum(seconds.values())
    num_devices = layout.data * layout.tensor * layout.pipeline
    tokens = wanted.batch * wanted.length
    useful = 3 * model.forward_flops(wanted.length) * tokens
    peak = device.peak(wanted.precision)
    assert peak
    spare = USABLE * device.memory_bytes - sum(memory.values())
    if spare >= 0:
        slowest = max(seconds, key=lambda part: seconds[part])
        limit = f"{slowest}: {seconds[slowest] / step:.0%} of the step"
    else:
        largest = max(memory, key=lambda part: memory[part])
        limit = f"memory: {-spare / 1e9:.3g} GB too much, most of it {largest}"
    return Planned(
        layout, memory, seconds, sent, spare >= 0, tokens / step, useful / (num_devices * peak * step),
        device.watts * num_devices * step if device.watts else None, limit,
    )  # fmt: skip


def memory_of(model: Architecture, wanted: Wanted, layout: Layout, stage: int) -> dict[str, float]:
    """Return the bytes on a rank of one pipeline stage, by part, at the fullest moment of a step."""
    is_first, is_last = stage == 0, stage == layout.pipeline - 1
    blocks = math.ceil(model.layers / layout.pipeline)
    outside = (model.embedding_params if is_first else 0) + (model.head_params if is_last else 0)
    if model.tied and is_last and not is_first:
        outside += model.vocabulary * model.hidden  # a copy of the embedding serves as the output layer
    ours = (blocks * model.block_params + outside) / layout.tensor
    kept = ours / layout.shard
    size = BYTES[wanted.precision]
    micro_batches = wanted.batch // (layout.data * wanted.micro_batch)
    if layout.shard > 1 and layout.pipeline == 1:  # one block at work, one on its way, and what lies outside of blocks
        gathered = (2 * model.block_params + outside) / layout.tensor * size
    elif layout.shard > 1:  # gradients are scattered once a step, and add up whole until then
        gathered = ours * (size + (4 if micro_batches > 1 else 0))
    else:
        gathered = ours * size if wanted.precision != "float32" else 0  # autocast keeps what it has cast
    in_flight = min(layout.pipeline - stage, micro_batches)
    tokens = wanted.micro_batch * wanted.length
    whole, inputs = model.block_activations(tensor=layout.tensor, is_sequence_parallel=layout.tensor > 1)
    if layout.recompute:
        activations = tokens * size * (in_flight * blocks * inputs + whole)
    else:
        activations = tokens * size * in_flight * blocks * whole
    scores = tokens * model.vocabulary / layout.tensor * (size + 12) if is_last else 0  # float32: scores, log, gradient
    return {
        "parameters": 4 * kept,
        "gradients": 4 * kept,
        "optimizer": OPTIMIZER[wanted.optimizer] * kept,
        "gathered": gathered,
        "activations": activations,
        "scores": scores,
    }


def bytes_sent(model: Architecture, wanted: Wanted, layout: Layout) -> dict[str, float]:
    """Return the bytes that a rank sends in a step along each axis, by ring collectives.

    shard: parameters gathered for each forward and backward pass (in a pipeline once a step), gradients scattered in
    float32. replicate: gradients reduced. tensor: four reductions of a block's output for every token, two more when
    recomputing. pipeline: outputs forth, gradients back.
    """
    size = BYTES[wanted.precision]
    blocks = math.ceil(model.layers / layout.pipeline)
    ours = (blocks * model.block_params + max(model.embedding_params, model.head_params)) / layout.tensor
    micro_batches = wanted.batch // (layout.data * wanted.micro_batch)
    tokens = wanted.batch // layout.data * wanted.length
    gathers = 2 * micro_batches if layout.pipeline == 1 else 1
    reductions = 6 if layout.recompute else 4
    return {
        "shard": ours * (gathers * size + 4) * _others(layout.shard),
        "replicate": ours / layout.shard * 4 * 2 * _others(layout.replicate),
        "tensor": tokens * blocks * model.hidden * size * reductions * 2 * _others(layout.tensor),
        "pipeline": 2 * tokens * model.hidden * size / layout.tensor if layout.pipeline > 1 else 0.0,
    }


def _others(ranks: int) -> float:
    return (ranks - 1) / ranks


def _seconds(
    model: Architecture, device: Device, wanted: Wanted, layout: Layout, sent: dict[str, float]
) -> dict[str, float]:
    num_devices = layout.data * layout.tensor * layout.pipeline
    passes = 4 if layout.recompute else 3  # forward, backward (twice the forward's), forward again
    flops = passes * model.forward_flops(wanted.length) * wanted.batch * wanted.length
    uneven = math.ceil(model.layers / layout.pipeline) * layout.pipeline / model.layers
    compute = flops * uneven / (num_devices * (device.peak(wanted.precision) or 0) * EFFICIENCY)
    micro_batches = wanted.batch // (layout.data * wanted.micro_batch)

    def taken(axis: str, reach: int) -> float:
        bandwidth = device.link_bandwidth if reach <= device.per_node else device.network_bandwidth
        return sent[axis] / (bandwidth * BANDWIDTH) if sent[axis] else 0.0

    inner = layout.tensor * layout.shard
    data = taken("shard", inner) + taken("replicate", inner * layout.replicate)
    return {
        "compute": compute,
        "bubble": compute * (layout.pipeline - 1) / micro_batches,
        "tensor": taken("tensor", layout.tensor),
        "data": max(0.0, data - OVERLAP * compute),
        "pipeline": taken("pipeline", num_devices),
    }
