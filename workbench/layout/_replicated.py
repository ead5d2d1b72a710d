"""Data parallelism with the whole model on every process: torch's DistributedDataParallel."""

from __future__ import annotations

import contextlib
from typing import Any

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from workbench.layout import _all_rows, _batch_norm
from workbench.layout._together import Together


class Replicated(Together):
    """Gradients are averaged while the backward pass still runs; the model itself is trained in place."""

    def placed(self, model: nn.Module) -> nn.Module:
        _batch_norm.synchronise(model, self.rows)
        _all_rows.join(model, self.rows)
        devices = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(model.to(self.device), device_ids=devices, forward_sync_buffers=False)

    def unsynced(self, more_to_come: bool) -> contextlib.AbstractContextManager[Any]:
        return self.wrapped.no_sync() if more_to_come else contextlib.nullcontext()

    def collect(self) -> None:
        self.model.zero_grad(set_to_none=True)
        self.wrapped = None
        _batch_norm.release(self.model)
        _all_rows.leave(self.model)
        self.model.to("cpu")
