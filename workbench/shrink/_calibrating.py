"""Steps that look at activations, on one block of a decoder after the other; what a block gives goes on to the next.

Hidden states of the calibration texts lie in a file; memory holds a block in float32 and what the step itself needs. A block
is read back from the file that was written before anything goes on, so later blocks see what a reader will have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from workbench.errors import WorkbenchError
from workbench.nouns import Examples, Quantization, Splits
from workbench.part import Step
from workbench.shrink import _model, _recipe, _source, _writing
from workbench.shrink._reading import Weights
from workbench.shrink._recipe import Recipe
from workbench.shrink._shards import BLOCK, Shard, Tensor
from workbench.shrink._source import Source
from workbench.shrink._under_way import Work
from workbench.streamed import Dense

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor
    from torch import nn

HIDDEN = ".hidden"  # the file of hidden states, while it is under way
COMPARED = 4  # texts whose hidden states tell how far a block moved


@dataclass
class _Context:
    """What a step asks for, with a block as the model and hidden states as the examples."""

    data: Splits
    device: str = "cpu"
    seed: int = 0
    quantization: dict[str, Quantization] = field(default_factory=dict)

    def weights(self, model: nn.Module) -> list[tuple[str, TorchTensor]]:
        from workbench.train import prunable

        return [(name, cast("TorchTensor", module.weight)) for name, module in prunable(model)]

    def quantize(self, layer: str, how: Quantization) -> None:
        self.quantization[layer] = how

    def say(self, text: str = "", **progress: Any) -> None:
        """Blocks are what progress is told of."""

    def cancelled(self) -> bool:
        return False


class Blocks:
    """The blocks of a source, changed by a recipe, on calibration texts (texts, length) of tokens."""

    def __init__(self, source: Source, recipe: Recipe, texts: np.ndarray, hidden: np.ndarray) -> None:
        self.source, self.recipe, self.hidden = source, recipe, hidden
        self.weights = Weights(list(dict.fromkeys(path for path, _ in source.tensors)))
        self.skeleton = _model.Skeleton(source.folder, texts.shape[1])
        _model.embedded(self.weights, texts, hidden)
        self.before: TorchTensor | None = None  # what the dense block made of the first texts

    def write(self, index: int, shard: Shard, writer: _writing.Writer) -> list[dict[str, Any] | None]:
        """Change a block and write it; returns what to note of its tensors."""
        block = self.skeleton.block(index, self.weights.dense)
        self.before = self._first(block)
        nothing = Examples({"hidden": self.hidden[:0]}, np.zeros(0, np.int64))
        examples = Examples({"hidden": self.hidden}, np.zeros(len(self.hidden), np.int64))
        context = _Context(Splits(nothing, nothing, examples, nothing))
        for part, skip in self._parts(shard):
            part.model_copy(update={"skip": skip}).run(block, cast(Any, context))
        writer.put(shard.header())
        layers = [_put(tensor, block, context.quantization, writer) for tensor in shard.tensors]
        self.skeleton.release(index)
        return layers

    def go_on(self, index: int, path: Path) -> float | None:
        """Send the hidden states through a block as it was written; returns ‖after − before‖ / ‖before‖ when it is new."""
        block = self.skeleton.block(index, Weights([path]).dense)
        error = None
        if self.before is not None:
            error = float((self._first(block) - self.before).norm() / self.before.norm())
            self.before = None
        _model.passed(block, self.hidden, self.hidden)
        self.skeleton.release(index)
        return error

    def _first(self, block: nn.Module) -> TorchTensor:
        import torch

        with torch.no_grad():
            found: TorchTensor = block(torch.from_numpy(np.ascontiguousarray(self.hidden[:COMPARED])))
        return found

    def _parts(self, shard: Shard) -> Iterator[tuple[Step, list[str]]]:
        """Yield the steps that change something here, and which matrices each leaves alone."""
        streams = (*self.recipe.changes, *([self.recipe.stores] if self.recipe.stores else []))
        matrices = [tensor.stored for tensor in shard.tensors if _source.is_matrix(tensor.stored)]
        for part, stream in zip(self.recipe.parts, streams):
            skip = [_source.layer_of(each) for each in matrices if _recipe.reason_to_stay(stream, each)]
            if len(skip) < len(matrices) and not stream.whole:
                yield part, skip


def carry_out(source: Source, recipe: Recipe, texts: np.ndarray, work: Work) -> None:
    """Write what lies outside of the blocks, then each block; one that is there already is only passed."""
    with hidden_states(work.into, texts, int(source.config["hidden_size"])) as hidden:
        blocks = Blocks(source, recipe, texts, hidden)
        for shard in work.shards:
            index, path = block_of(shard), work.into / shard.name
            if shard not in work.left:
                work.clock.skip(shard)
            elif index is None:
                work.write(shard)
                continue
            else:
                with _writing.Writer(path) as writer:
                    layers = blocks.write(index, shard, writer)
                work.clock.add(shard.source_bytes, f"block {index}")
            if index is not None:
                error = blocks.go_on(index, path)
            if shard in work.left:
                work.note(shard, writer, [*layers, {"name": f"model.layers.{index}", "output_error": error}])


def block_of(shard: Shard) -> int | None:
    """Return the number of the block in a file; None = what lies outside of the blocks."""
    found = BLOCK.match(shard.tensors[0].stored.name)
    return int(found[1]) if found else None


@contextmanager
def hidden_states(folder: Path, texts: np.ndarray, width: int) -> Iterator[np.ndarray]:
    """Lend an array (texts, length, width) that lies on disk."""
    path = folder / HIDDEN
    try:
        yield np.memmap(path, np.float32, "w+", shape=(*texts.shape, width))
    finally:
        path.unlink(missing_ok=True)


def _put(
    tensor: Tensor, block: nn.Module, quantization: Mapping[str, Quantization], writer: _writing.Writer
) -> dict[str, Any] | None:
    stored = tensor.stored
    values = block.get_parameter(stored.name).detach().numpy()
    if not np.isfinite(values).all():
        raise WorkbenchError(
            f"{stored.name} became NaN or infinite", next_move="raise damping, or calibrate on more texts"
        )
    how = quantization.get(_source.layer_of(stored))
    pieces: Sequence[np.ndarray]
    if tensor.stores and how and how.grid:
        pieces = tensor.stores.keep_grid(how.grid, stored.dtype)
    else:
        rows = values.reshape(len(values) if values.ndim > 1 else 1, -1)
        keeping = tensor.stores.keep(rows.shape, stored.dtype) if tensor.stores else Dense(stored.dtype)
        pieces = [keeping.store(rows, rows), *keeping.rest()]
    for piece in pieces:
        writer.put(piece)
    if not tensor.changes and not tensor.stores:
        return None
    told = {"name": stored.name, "bytes_before": stored.num_bytes, "bytes": tensor.num_bytes}
    return {**told, "zeros": float((values == 0).mean())} if tensor.changes else told
