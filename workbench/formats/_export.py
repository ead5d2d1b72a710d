"""torch.export with a free batch size, and casting before it: shared by the formats that start from a program."""

from __future__ import annotations

import contextlib
import inspect
import logging
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.nouns import Quantization

if TYPE_CHECKING:
    import numpy as np
    from torch import nn


def export(model: nn.Module, example: Mapping[str, np.ndarray]) -> Any:
    """Return the ExportedProgram of `model` with a dynamic first axis; `example` must hold ≥ 2 examples."""
    import torch

    assert all(len(array) >= 2 for array in example.values()), "an example batch of 1 would be fixed for ever"
    inputs = tuple(torch.from_numpy(array) for array in example.values())
    batch = torch.export.Dim("batch")
    try:
        with hushed(), torch.no_grad():
            return torch.export.export(model.eval(), inputs, dynamic_shapes=_free_batch(model, example, batch))
    except (torch._dynamo.exc.TorchDynamoException, RuntimeError, ValueError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise WorkbenchError(
            f"torch.export can't trace this model: {first_line}",
            next_move="remove data-dependent control flow from forward",
        ) from error


def _free_batch(model: nn.Module, example: Mapping[str, Any], batch: Any) -> Any:
    """Name the batch axis of each input; a forward that takes *inputs wants them as one tuple."""
    each = tuple({0: batch} for _ in example)
    kinds = {parameter.kind for parameter in inspect.signature(model.forward).parameters.values()}
    return (each,) if inspect.Parameter.VAR_POSITIONAL in kinds else each


def input_names(card: bytes) -> list[str]:
    """Return the input names of a saved artifact, in order, from the content of its card.json."""
    import orjson

    return [each["name"] for each in orjson.loads(card)["inputs"]]


def in_bfloat16(model: nn.Module, quantization: Mapping[str, Quantization]) -> nn.Module:
    """Return a module whose weights are bfloat16 and whose inputs and outputs stay float32.

    Layers that are not in `quantization` were skipped by the step: their module computes in float32.
    """
    import torch

    from workbench.formats._casting import Casting

    kept: list[nn.Module] = [
        module
        for name, module in model.named_modules()
        if name not in quantization and isinstance(module, torch.nn.Linear | torch.nn.Conv2d)
    ]
    return Casting(model, kept)


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Keep the exporters' chatter about future versions out of logs and notebooks."""
    names = ("torch.onnx", "onnxscript", "torch.export", "onnx_ir", "torch.fx")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
