"""Takes in a model or data that were made in a notebook cell: kept in a file named after its content."""

from __future__ import annotations

import hashlib
import inspect
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidInput, WorkbenchError

if TYPE_CHECKING:
    from torch import Tensor, nn

FOLDER = "adopted"
TOLERANCE = 1e-4  # largest gap between the model and what was exported, relative to the largest output


def adopt(model: nn.Module, example: Any, *, name: str = "model", folder: str | Path = FOLDER) -> dict[str, Any]:
    """Export `model` and return a record for `Job`: `{"use": "exported", "path": …, "sha256": …}`.

    `example` is a batch of two or more inputs: an array or tensor, or a dict of them by the data's input names. The model
    is left as it is. Raises WorkbenchError when it can't be exported or the file predicts something else.
    """
    import torch

    inputs = _inputs(example)
    training = model.training
    try:
        program = _exported(model.eval(), inputs)
        with torch.no_grad():
            expected, found = (_first(made(*inputs.values())) for made in (model, program.module()))
    finally:
        model.train(training)
    gap = float((expected - found).abs().max() / expected.abs().max().clamp(min=1))
    if not gap <= TOLERANCE:  # also when it is not a number
        raise WorkbenchError(f"the exported program differs from the model by {gap:.1e} of the largest output")
    path, sha256 = _kept(program, Path(folder), _file_name(name) or "model")
    return {"use": "exported", "path": str(path), "sha256": sha256}


def adopt_data(
    *, train: Any, test: Any, validation: Any = None, calibration: Any = None, labels: Sequence[str] = (),
    task: str = "image-classification", name: str = "data", folder: str | Path = FOLDER,
) -> dict[str, Any]:  # fmt: skip
    """Keep arrays in a file and return a record for `Job`: `{"use": "arrays", "path": …, "sha256": …}`.

    Each part is (inputs, targets) as in `python_dataset`: inputs an array (N, …) or a dict of them, targets whole numbers.
    Where validation or calibration is None, a tenth of train takes its place. Raises InvalidInput with all that is wrong.
    """
    from workbench.data.arrays import Arrays

    given = {"train": train, "validation": validation, "calibration": calibration, "test": test}
    parts = {part: value for part, value in given.items() if part in ("train", "test") or value is not None}
    return Arrays.adopted(parts, folder=Path(folder), task=task, labels=labels, name=_file_name(name) or "data")


def _file_name(name: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_")


def _inputs(example: Any) -> dict[str, Tensor]:
    """Return tensors by name: one array of real numbers is called pixels, one of whole numbers tokens."""
    import torch

    if not isinstance(example, Mapping):
        tensor = torch.as_tensor(example)
        example = {"pixels" if tensor.is_floating_point() else "tokens": tensor}
    inputs = {str(name): torch.as_tensor(array) for name, array in example.items()}
    inputs = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in inputs.items()}
    problems = [
        f"example input {name!r} has shape {tuple(tensor.shape)}; a batch of two or more is needed, since one is fixed for ever"
        for name, tensor in inputs.items()
        if tensor.ndim < 2 or len(tensor) < 2
    ]
    if problems or not inputs:
        raise InvalidInput(problems or ["the example is empty"])
    return inputs


def _exported(model: nn.Module, inputs: Mapping[str, Tensor]) -> Any:
    import torch

    batch = torch.export.Dim("batch")
    # The file keeps the batch that it was traced with: two blank examples, so that no data are in it.
    blank = tuple(torch.ones_like(tensor[:2]) for tensor in inputs.values())
    try:
        return torch.export.export(model, blank, dynamic_shapes=_free_batch(model, inputs, batch))
    except (torch._dynamo.exc.TorchDynamoException, RuntimeError, ValueError, TypeError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise WorkbenchError(
            f"torch.export can't trace this model: {first_line}",
            next_move="put it in a file and pick it as python_callable, or remove data-dependent control flow",
        ) from error


def _free_batch(model: nn.Module, inputs: Mapping[str, Tensor], batch: Any) -> dict[str, Any]:
    """Free the first axis of each input, by the names that `forward` has for them."""
    return {name: {0: batch} for name, _ in zip(inspect.signature(model.forward).parameters, inputs)}


def _first(output: Any) -> Tensor:
    """Return the first tensor of what a model returned: that is what `exported` takes for the logits."""
    import torch

    (tensor, *_) = [leaf for leaf in torch.utils._pytree.tree_leaves(output) if isinstance(leaf, torch.Tensor)]
    return tensor


def _kept(program: Any, folder: Path, name: str) -> tuple[Path, str]:
    """Write the program into `folder` under a name with its hash; return path and hash."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{name}.{os.getpid()}.pt2"
    torch.export.save(program, str(partial))
    sha256 = hashlib.sha256(partial.read_bytes()).hexdigest()
    path = folder / f"{name}-{sha256[:10]}.pt2"
    partial.replace(path)
    return path, sha256
