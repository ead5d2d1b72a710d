"""Train, or fine-tune after a change, with the one training loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from workbench.params import param
from workbench.part import Context, Model, Step

if TYPE_CHECKING:
    from torch import nn


class Train(Step):
    """Exact zeros in prunable weights stay zero by default, so a pruned model stays pruned while it recovers."""

    title = "Train"
    source = "AdamW: Loshchilov & Hutter, arXiv 1711.05101; cosine schedule: arXiv 1608.03983"
    trains = True

    epochs: int = param(20, help="Passes over the train split", unit="epochs", ge=1, le=10_000)
    batch_size: int = param(64, help="Examples in one update", unit="examples", ge=1, le=65_536)
    learning_rate: float = param(2e-3, help="Peak learning rate", gt=0, le=10)
    optimizer: Literal["adamw", "sgd"] = param("adamw", help="Update rule (sgd: Nesterov momentum 0.9)")
    weight_decay: float = param(0.01, help="Decoupled weight decay", ge=0, le=1)
    schedule: Literal["cosine", "constant"] = param("cosine", help="Learning rate over time, after 5 % of warm-up")
    augment: Literal["none", "mixup", "cutmix"] = param("none", help="Mix two images and their labels")
    label_smoothing: float = param(0.0, help="Share of the label spread over all classes", ge=0, lt=1)
    clip: float = param(1.0, help="Largest global gradient norm; 0 = off", ge=0, le=1000)
    mixed_precision: bool = param(False, help="bfloat16 arithmetic in forward and backward")
    keep_zeros: bool = param(True, help="Prunable weights that are exactly 0 at the start stay 0")

    @property
    def spreads(self) -> bool:
        return True

    @classmethod
    def recovery(cls, model: Model, trained: Sequence[Step], epochs: int) -> dict[str, Any]:
        return {"use": "train", "epochs": epochs}

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        ctx.train(model, **self.model_dump())
        return model

    def describe(self) -> str:
        return f"train {self.epochs}"
