"""What the warmed parent loads before it forks: other people's modules and our spine, never a part.

A part that was loaded here would go on running in its old form after somebody edited its file.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import warnings
from collections.abc import Callable

from workbench import _torchlib

LOG = logging.getLogger(__name__)

THIRD_PARTY = (
    "numpy", "psutil", "orjson", "pydantic", "torch", "torch._dynamo", "torch.onnx", "scipy.special", "sklearn.datasets",
    "sklearn.model_selection", "transformers.pytorch_utils", "transformers.models.resnet.modeling_resnet",
    "transformers.models.vit.modeling_vit", "transformers.models.llama.modeling_llama", "onnx", "onnxscript",
    "onnxruntime.quantization", "onnxruntime.quantization.shape_inference", "torch_pruning",
)  # fmt: skip
SPINE = ("workbench.bench", "workbench.worker", "workbench.describe", "workbench.train")


def load_all(breathe: Callable[[], None] = lambda: None) -> None:
    """Import everything, take one training step and make one export; whatever is not installed is left out.

    `breathe` is called between pieces, to stand aside while another process measures.
    """
    for name in THIRD_PARTY:
        breathe()
        if importlib.util.find_spec(name.partition(".")[0]):
            importlib.import_module(name)
            _note_threads(name)
    for name in SPINE:
        importlib.import_module(name)
    for piece in (_one_step, _one_export):
        breathe()
        piece()


def num_threads() -> int:
    """Return how many threads this process has, whoever started them."""
    return len(os.listdir("/proc/self/task"))


def _note_threads(after: str) -> None:
    if num_threads() > 1:
        LOG.warning("%d threads after loading %s", num_threads(), after)


def _one_step() -> None:
    """Train once: the first step of an optimizer imports as much as torch itself."""
    import torch

    torch.set_num_threads(1)
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(8, 2))
    for optimizer in (torch.optim.AdamW, torch.optim.SGD):
        update = optimizer(model.parameters(), lr=0.1)
        torch.nn.functional.cross_entropy(model(torch.ones(2, 1, 4, 4)), torch.zeros(2, dtype=torch.int64)).backward()
        update.step()
    _note_threads("a training step")


def _one_export() -> None:
    """Export once, to a program and to ONNX in memory: opens no session, and the exporters' tables get filled."""
    import torch

    _torchlib.read_once()
    torch.hub.tqdm.monitor_interval = 0  # type: ignore[attr-defined]  # a progress bar's watcher would be a thread
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8, 2))
    example = (torch.ones(2, 1, 4, 4),)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.export.export(model.eval(), example, dynamic_shapes=({0: torch.export.Dim("batch")},))
        torch.onnx.export(program, input_names=["x"], output_names=["y"], dynamo=True, verbose=False, optimize=True)
    _note_threads("an export")
