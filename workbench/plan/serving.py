"""Generating text on N devices: how long a token takes, how many sequences fit, at each precision of the weights.

A token of every sequence needs all weights that it meets, and its sequence's cache, from memory: that or arithmetic limits
it (Pope et al., arXiv 2211.05102). Tensor ranks add two reductions a block; groups of them answer independently.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from workbench.errors import InvalidInput
from workbench.plan.architecture import Architecture
from workbench.plan.devices import Device
from workbench.plan.training import EFFICIENCY, USABLE

BITS = {"float32": 32.0, "bfloat16": 16.0, "int8": 8.0, "int4": 4.5}  # int4: weights alone, a 16-bit scale for each 32
READ = 0.7  # share of the memory bandwidth that reading weights reaches
REDUCTION_SECONDS = 10e-6  # of a small all-reduce within a node


@dataclass(frozen=True)
class Served:
    """One way of serving. Sizes are bytes of a device; `batch` is sequences at once in one group of tensor ranks."""

    precision: str
    tensor: int
    groups: int
    weight_bytes: float
    cache_bytes: float  # of one sequence with full context
    max_batch: int  # 0 = the weights don't fit
    batch: int
    seconds_per_token: float
    prompt_seconds: float  # of reading a prompt of `prompt` tokens, one sequence alone
    tokens_per_second: float  # of all groups
    limit: str

    @property
    def fits(self) -> bool:
        return self.batch <= self.max_batch

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "fits": self.fits}


def plan(
    model: Architecture, device: Device, num_devices: int, *, context: int, prompt: int, batch: int | None = None
) -> list[Served]:
    """Return each precision and number of tensor ranks; those that fit first, by latency; by throughput without `batch`, for as many as fit."""
    if context > model.context:
        raise InvalidInput([f"context {context} is past that of {model.name}, {model.context} tokens"])
    if prompt > context:
        raise InvalidInput([f"a prompt of {prompt} tokens is past the context, {context}"])
    ranks = [each for each in range(1, min(num_devices, device.per_node) + 1)
             if num_devices % each == 0 and not any(size % each for size in (model.heads, model.kv_heads or model.heads, model.ffn))]  # fmt: skip
    found = [
        _served(model, device, precision, tensor, num_devices // tensor, context, prompt, batch)
        for precision in BITS
        for tensor in ranks
    ]
    return sorted(found, key=lambda each: (not each.fits, each.seconds_per_token if batch else -each.tokens_per_second))


def _served(
    model: Architecture, device: Device, precision: str, tensor: int, groups: int, context: int, prompt: int, asked: int | None
) -> Served:  # fmt: skip
    bits = BITS[precision]
    wide = max(bits, 16.0)  # of numbers that are never rounded to integers: embeddings, which are looked up, and caches
    table = model.embedding_params * wide
    weights = ((model.num_params - model.embedding_params) * bits + table) / 8 / tensor
    cache = model.kv_bytes(wide / 8) * context / tensor
    room = USABLE * device.memory_bytes - weights
    max_batch = max(0, int(room // cache))
    batch = asked or max(1, max_batch)
    read = _weights_met(model, batch) * bits / 8 / tensor + batch * cache
    peak = (
        (device.peak(precision) if precision != "int4" else None) or device.peak("bfloat16") or device.flops["float32"]
    )
    arithmetic = batch * 2 * model.active_params / tensor / (peak * EFFICIENCY)
    from_memory = read / (device.memory_bandwidth * READ)
    reductions = 2 * model.layers * REDUCTION_SECONDS if tensor > 1 else 0.0
    step = max(arithmetic, from_memory) + reductions
    parts = {
        "arithmetic": arithmetic,
        "reading weights and caches": from_memory,
        "reductions between devices": reductions,
    }
    limit = max(parts, key=lambda part: parts[part])
    if batch > max_batch:
        limit = f"memory: {(batch * cache - room) / 1e9:.3g} GB too much"
    prompt_seconds = prompt * model.forward_flops(prompt) / tensor / (peak * EFFICIENCY) + reductions
    return Served(
        precision, tensor, groups, weights, cache, max_batch, batch, step, prompt_seconds, batch * groups / step, limit
    )


def _weights_met(model: Architecture, batch: int) -> float:
    """Return the parameters that a step of `batch` tokens reads: of experts, those that at least one token chose."""
    share = 1 - (1 - model.experts_per_token / model.experts) ** batch
    experts = model.layers * model.experts * model.expert_params
    rest = model.active_params - model.layers * model.experts_per_token * model.expert_params
    return rest + share * experts
