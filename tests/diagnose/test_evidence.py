"""What is seen in a layer is seen of its outputs, however the layer stores them and wherever it puts its channels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from workbench.diagnose import _evidence
from workbench.nouns import Examples


class Along(nn.Module):
    """A convolution over time, three channels of which the middle one answers nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv1d(1, 3, 1)
        self.layer.weight.data = torch.tensor([1.0, 0.0, 2.0]).view(3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).mean(-1)


def test_the_spread_is_that_of_outputs_also_where_weights_are_stored_turned() -> None:
    plain, turned = nn.Linear(4, 3), Conv1D(3, 4)
    plain.weight.data = torch.tensor([[1.0], [1.0], [9.0]]) * torch.ones(3, 4)
    turned.weight.data = plain.weight.data.T.contiguous()
    assert _evidence._spread(plain) == pytest.approx(9)
    assert _evidence._spread(turned) == pytest.approx(9)


def test_channels_of_a_convolution_over_time_are_told_apart() -> None:
    examples = Examples(
        {"x": np.random.default_rng(0).normal(size=(6, 1, 5)).astype(np.float32)}, np.zeros(6, np.int64)
    )
    assert _evidence._channels(Along(), examples)["layer"].tolist() == [True, False, True]
