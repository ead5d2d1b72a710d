"""One rank of a planned layout carries out one step on tensors without data: torch counts what it would hold.

The model is transformers' own, split by this library's layouts; collectives go to a fake group, so no other rank is needed.
Sizes: Zhang et al. in torch.distributed._tools (MemTracker, FSDPMemTracker).
"""

from __future__ import annotations

import collections
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.fsdp2_mem_tracker import FSDPMemTracker
from torch.distributed._tools.mem_tracker import MemTracker
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy
from torch.distributed.tensor import DTensor, Replicate, Shard, _sharding_prop
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, loss_parallel, parallelize_module
from torch.testing._internal.distributed.fake_pg import FakeStore

from workbench.extents import Extents
from workbench.layout import _splitting
from workbench.layout._stage import Stage
from workbench.measure._timing import high_water_bytes
from workbench.plan.training import Layout, Wanted

MIXTURES = ("mixtral",)
DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}
PARTS = {  # as the trackers call them, whatever their case → as plans do
    "sharded_param": "parameters", "param": "parameters", "sharded_grad": "gradients", "grad": "gradients", "opt": "optimizer",
    "unsharded_param": "gathered", "all_gather": "gathered", "unsharded_grad": "gathered", "reduce_scatter": "gathered",
    "act": "activations", "temp": "temporary", "inp": "temporary", "buffer": "temporary",
    "oth": "temporary",
}  # fmt: skip
Say = Callable[[str], None]


class _Whole(nn.Module):
    """A language model as layouts know it: tokens → logits."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.renamed, self.fit = inner, {"tokens": "input_ids"}, None


def simulate(config: Mapping[str, Any], wanted: Wanted, layout: Layout, stage: int, say: Say) -> dict[str, Any]:
    """Return {"memory": bytes by part at the fullest moment, "seconds", "own_bytes"} of the first rank of a stage."""
    began = time.process_time()
    num_ranks = layout.data * layout.tensor * layout.pipeline
    rank = stage * (num_ranks // layout.pipeline)
    dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=num_ranks)
    try:
        say("building the model without weights")
        part = _placed(config, wanted, layout, stage)
        memory = _stepped(part, wanted, layout, stage, say)
    finally:
        dist.destroy_process_group()
    return {
        "memory": memory,
        "cpu_seconds": time.process_time() - began,
        "own_bytes": high_water_bytes(),
    }  # ru_maxrss would begin with the parent's size


def _placed(config: Mapping[str, Any], wanted: Wanted, layout: Layout, number: int) -> Stage:
    """Return a stage on no device, its layers split over the axes of the layout."""
    import transformers

    extents = Extents(layout.replicate, layout.shard, layout.tensor, layout.pipeline)
    mesh = _splitting.mesh_of(extents, "cpu")
    told = transformers.AutoConfig.for_model(**config)
    told.use_cache = False
    how = {"attn_implementation": "sdpa", "dtype": torch.float32}
    if told.model_type in MIXTURES:  # all experts in one product, whose size doesn't depend on which tokens go where
        how["experts_implementation"] = "grouped_mm"
    with torch.device("meta"):
        inner = transformers.AutoModelForCausalLM.from_config(told, **how)
    if layout.recompute:
        inner.gradient_checkpointing_enable({"use_reentrant": False})
    whole = _Whole(inner.train())
    kept = extents.stage_blocks(told.num_hidden_layers)[number]
    stage = Stage(whole, kept, is_first=number == 0, is_last=number == layout.pipeline - 1)
    stage.arithmetic = contextlib.nullcontext
    if layout.tensor > 1:
        _splitting.split_tensors(whole, mesh["tensor"], sequence_parallel=True)
        _split_ends(whole.inner, mesh["tensor"])
    if layout.data > 1:
        policy = MixedPrecisionPolicy(param_dtype=DTYPES[wanted.precision], reduce_dtype=torch.float32)
        _splitting.shard_fully(stage, stage.blocks, mesh, extents, policy)
    elif wanted.precision != "float32":
        stage.arithmetic = lambda: torch.autocast("cpu", dtype=DTYPES[wanted.precision])
    return stage


def _split_ends(inner: Any, mesh: Any) -> None:
    """Split embedding and output layer by words of the vocabulary, where this stage has them."""
    if isinstance(inner.base_model.embed_tokens, nn.Embedding):
        ends: dict[str, Any] = {"embed_tokens": RowwiseParallel(input_layouts=Replicate(), output_layouts=Replicate())}
        parallelize_module(inner.base_model, mesh, ends)
    if isinstance(inner.lm_head, nn.Linear):
        ends = {"lm_head": ColwiseParallel(input_layouts=Replicate(), output_layouts=Shard(-1), use_local_output=False)}
        parallelize_module(inner, mesh, ends)


def _stepped(stage: Stage, wanted: Wanted, layout: Layout, number: int, say: Say) -> dict[str, float]:
    """Carry out a step of one rank; an optimizer and, with several micro-batches, gradients have their state already.

    Stages run as 1F1B at its fullest: as many micro-batches as are in flight, and one more once the first is through.
    """
    micro_batches = wanted.batch // (layout.data * wanted.micro_batch)
    in_flight = min(layout.pipeline - number, micro_batches)
    with _global_shapes_left_alone(), _experts_of_any_dtype(), FakeTensorMode(allow_non_fake_inputs=True):
        stage.to_empty(device="cpu")
        optimizer = _optimizer(stage, wanted)
        if layout.pipeline == 1 and micro_batches > 1:
            for parameter in stage.parameters():
                parameter.grad = torch.zeros_like(parameter)
        tokens = torch.zeros(wanted.micro_batch, wanted.length, dtype=torch.int64)
        stage.inputs, rows = {"tokens": tokens}, torch.arange(wanted.micro_batch)
        tracker: Any = FSDPMemTracker(stage, optimizer) if isinstance(stage, FSDPModule) else MemTracker()
        tracker.track_external(stage, optimizer)
        with tracker:
            say(f"forward, {in_flight} micro-batch{'es' * (in_flight > 1)}")
            answers = collections.deque(_Pass(stage)(tokens, rows, times=in_flight))
            total = in_flight + (layout.pipeline > 1 and micro_batches > in_flight)
            for index in range(total):
                say(f"backward {index + 1} of {total}")
                _backward(stage, answers.popleft(), tokens, is_last=index == total - 1)
                if index + in_flight < total:
                    answers.extend(_Pass(stage)(tokens, rows, times=1))
            say("optimizer")
            optimizer.step()
            optimizer.zero_grad()
        (snapshot,) = tracker.get_tracker_snapshot("peak").values()
    return _by_part(snapshot)


class _Pass(nn.Module):
    """Calls a stage some times: trackers know modules that are called again, but not at the top."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage

    def forward(self, tokens: Tensor, rows: Tensor, *, times: int) -> list[Any]:
        return [self.stage(_received(self.stage, tokens), rows=rows) for _ in range(times)]


def _received(stage: Stage, tokens: Tensor) -> Tensor:
    """Return what the stage before sends: tokens for the first, else hidden states whose gradient goes back."""
    if stage.is_first:
        return tokens
    hidden: Any = stage.whole.inner.config.hidden_size
    return torch.zeros(*tokens.shape, hidden, dtype=stage.dtype, requires_grad=True)


def _backward(stage: Stage, answer: Any, tokens: Tensor, *, is_last: bool) -> None:
    if isinstance(stage, FSDPModule):  # as torch's schedules do: a stage stays gathered, gradients are reduced once
        stage.set_is_last_backward(is_last)
        stage.set_reshard_after_backward(is_last)
        stage.set_requires_gradient_sync(is_last)
    if not stage.is_last:
        torch.autograd.backward(answer, torch.zeros_like(answer))
        return
    parallel = loss_parallel() if isinstance(answer, DTensor) else contextlib.nullcontext()
    with parallel:
        nn.functional.cross_entropy(answer.flatten(0, 1).float(), tokens.flatten()).backward()


def _optimizer(stage: Stage, wanted: Wanted) -> torch.optim.Optimizer:
    """Return an optimizer that has stepped before."""
    parameters = list(stage.parameters())
    if wanted.optimizer == "sgd":
        made: torch.optim.Optimizer = torch.optim.SGD(parameters, lr=1e-3, momentum=0.9, foreach=False)
        names: tuple[str, ...] = ("momentum_buffer",)
    else:
        made = torch.optim.AdamW(parameters, lr=1e-3, foreach=False)
        names = ("exp_avg", "exp_avg_sq")
    for parameter in parameters:
        made.state[parameter] = {name: torch.zeros_like(parameter) for name in names}
        if "exp_avg" in names:
            made.state[parameter]["step"] = torch.tensor(0.0)
    return made


@contextlib.contextmanager
def _global_shapes_left_alone() -> Iterator[None]:
    """Keep DTensor from running operations on global shapes under the fake mode, which the trackers would count."""
    own: Any = _sharding_prop
    before = own.detect_fake_mode
    own.detect_fake_mode = lambda *args, **named: None
    try:
        yield
    finally:
        own.detect_fake_mode = before


@contextlib.contextmanager
def _experts_of_any_dtype() -> Iterator[None]:
    """Let transformers multiply experts by its own operator: torch's knows the shapes of bfloat16 alone. They keep the same."""
    from transformers.integrations import moe

    own: Any = moe
    before = own._can_use_grouped_mm
    own._can_use_grouped_mm = lambda *args: False
    try:
        yield
    finally:
        own._can_use_grouped_mm = before


def _by_part(snapshot: Mapping[Any, int]) -> dict[str, float]:
    found = dict.fromkeys(PARTS.values(), 0.0)
    for kind, size in snapshot.items():
        name = str(getattr(kind, "name", kind)).lower()
        if name != "total":
            found[PARTS[name]] += size
    return found
