"""One self-contained file of entropy-coded weights: Deep Compression's last stage, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench.errors import ArtifactError
from workbench.formats._loading import COMPARES_ITSELF
from workbench.nouns import ModelCard, StoredWeight
from workbench.params import param
from workbench.part import Format, SaveContext, Session

if TYPE_CHECKING:
    from torch import nn

FILE = "model.coded"
DECODER = "decode.py"


class Coded(Format):
    """Zeros cost their position, shared values an index, integers of a grid their frequency, other floats their bytes.

    Departs from the paper: adaptive rANS (arXiv 1311.2540) instead of Huffman codes and fixed-width gaps. The graph is in
    the file and counted; decode.py, like load.py, is program and is not. Decoded once when opened, run in float32.
    """

    title = "Entropy-coded"
    source = "Han, Mao & Dally, arXiv 1510.00149, section 4; rANS: Duda, arXiv 1311.2540; run by ONNX Runtime"
    runtime = ("onnxruntime", "numpy")
    requires = ("onnx", "onnxscript", "onnxruntime")
    tolerance = 1e-3
    searched = {"vectors": ("float32", "float16")}  # tables save as much, and matter in files of a few kilobytes alone

    vectors: Literal["float32", "float16"] = param(
        "float32", help="What tensors with one axis (biases, norms) are rounded to"
    )
    tables: Literal["float32", "float16"] = param(
        "float32", help="What shared values, and scales of integers, are rounded to"
    )

    load_script = (
        '''"""Open this model with NumPy and ONNX Runtime alone; run as a program, compare it with its recorded output."""
import json, pathlib, runpy, sys
import numpy, onnxruntime

here = pathlib.Path(__file__).resolve().parent
card = json.loads((here / "card.json").read_text())


def open_model(threads=0):
    """Return a function of input arrays by name that gives the output array; 0 threads = as many as there are cores."""
    decoder = runpy.run_path(str(here / "decode.py"))
    graph, tensors, _ = decoder["read"]((here / "model.coded").read_bytes())
    as_written = {"providers": ["CPUExecutionProvider"], "disabled_optimizers": ["WeightBiasQuantization"]}  # float stays float
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(decoder["with_weights"](graph, tensors), options, **as_written)
    return lambda inputs: session.run(None, inputs)[0]
'''
        + COMPARES_ITSELF
    )

    def why_not(self, card: ModelCard) -> list[str]:
        is_grid = card.precision.startswith("int") and " weights" in card.precision
        if card.precision.startswith(("int", "float8", "binary", "ternary")) and not is_grid:
            return [f"{card.precision} is not lowered to this format; choose onnx"]
        if card.precision == "bfloat16":
            return ["the model runs in float32 here, not in bfloat16; choose format pt2"]
        return []

    def save(self, model: nn.Module, folder: Path, ctx: SaveContext) -> dict[str, Any]:
        """Write the file and its decoder; returns what was read back, with bytes by part and bits per weight."""
        from workbench.formats import _coded_reader, _coded_weights, _coded_writer

        graph, tensors, grids = _coded_weights.taken_apart(
            model, ctx, vectors=self.vectors == "float16", tables=self.tables == "float16"
        )
        _coded_weights.check_codebooks(tensors, ctx.quantization)
        (folder / FILE).write_bytes(_coded_writer.write(graph, tensors, grids))
        (folder / DECODER).write_text(Path(_coded_reader.__file__).read_text())
        _, found, costs = _read(folder)
        return _coded_weights.summary(found, costs, (folder / FILE).stat().st_size)

    def open(self, folder: Path, *, threads: int = 1) -> Session:
        return _session(_read(folder), threads)

    def open_from(self, files: Mapping[str, bytes], *, threads: int = 1) -> Session:
        return _session(_decoded(files[FILE], FILE), threads)

    def stored(self, folder: Path) -> dict[str, StoredWeight]:
        """Bytes are what coding took for each layer; a normalisation folded into its convolution is part of its weight."""
        from workbench.formats import _coded_weights

        return _coded_weights.stored(*_read(folder)[1:])


def _session(read: Any, threads: int) -> Session:
    from workbench.formats import _coded_reader, _onnx_session

    graph, tensors, _ = read
    return _onnx_session.named(_coded_reader.with_weights(graph, tensors), threads)


def _read(folder: Path) -> Any:
    return _decoded((folder / FILE).read_bytes(), str(folder / FILE))


def _decoded(content: bytes, told: str) -> Any:
    """Return (graph, tensors, costs); raises ArtifactError on anything but what was written."""
    from workbench.formats import _coded_reader

    try:
        return _coded_reader.read(content)
    except _coded_reader.BadFile as error:
        raise ArtifactError(
            f"{told} is damaged: {error}", next_move="copy it anew, or run its job again: --again"
        ) from error
