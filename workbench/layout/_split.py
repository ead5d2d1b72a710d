"""The model's parameters spread over processes: sharded, split by tensors, or both; without stages."""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor

from workbench.layout import _batch_norm, _splitting
from workbench.layout._together import Together


class Split(Together):
    """A copy is trained; `collect` brings its weights home to the model itself."""

    mesh: Any

    def place(self, model: nn.Module, *, seed: int, mixed_precision: bool) -> None:
        self.mesh = _splitting.mesh_of(self.extents, self.device.type)
        super().place(model, seed=seed, mixed_precision=mixed_precision)

    def placed(self, model: nn.Module) -> nn.Module:
        part = self.recomputing(copy.deepcopy(model)).to(self.device)
        if self.extents.tensor > 1:
            _splitting.split_tensors(part, self.mesh["tensor"], sequence_parallel=self.extents.sequence_parallel)
        if self.extents.data > 1:
            _batch_norm.synchronise(part, self.rows)
            _splitting.shard_fully(part, [block for _, block in _splitting.named_blocks(part)], self.mesh, self.extents)
        self.modules = [part]
        return part

    def unsynced(self, more_to_come: bool) -> Any:
        if isinstance(self.wrapped, FSDPModule):
            self.wrapped.set_requires_gradient_sync(not more_to_come)
        return super().unsynced(more_to_come)

    def clip(self, limit: float) -> None:
        """As torch.nn.utils.clip_grad_norm_, over all parts of the model wherever they lie."""
        gradients = []
        for parameter in (each for module in self.modules for each in module.parameters()):
            if parameter.grad is not None:
                parameter.grad = _splitting.summed(parameter.grad)
                gradients.append(parameter.grad)
        squares: dict[tuple[Any, ...], Tensor] = {}
        for gradient in gradients:
            groups = tuple(_splitting.split_axes(gradient))
            own = _splitting.local(gradient).square().sum()
            squares[groups] = squares.get(groups, torch.zeros_like(own)) + own
        total = torch.zeros((), dtype=next(iter(squares.values())).dtype, device=self.device)
        for groups in self.in_same_order(squares):
            part = squares[groups]
            for group in groups:
                dist.all_reduce(part, group=group)
            total += part
        self.add_over_stages(total)
        scale = (limit / (total.sqrt() + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            _splitting.local(gradient).mul_(scale)

    @staticmethod
    def in_same_order(squares: dict[tuple[Any, ...], Tensor]) -> list[tuple[Any, ...]]:
        """Return the keys in an order that is the same on all processes of every group in them."""
        return sorted(squares, key=lambda groups: [dist.get_process_group_ranks(group) for group in groups])

    def add_over_stages(self, total: Tensor) -> None:
        """Add what other stages have; here, one process's part is of the whole model."""

    def collect(self) -> None:
        state = {name: tensor for module in self.modules for name, tensor in module.state_dict().items()}
        whole = {
            name: tensor.full_tensor() if isinstance(tensor, DTensor) else tensor for name, tensor in state.items()
        }
        self.model.load_state_dict(self.from_all_stages(whole))
        self.model.to("cpu")
        self.modules, self.wrapped = [], None

    def from_all_stages(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of the whole model, by name."""
        return state
