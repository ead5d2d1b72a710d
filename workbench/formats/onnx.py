"""ONNX for ONNX Runtime: float32, int8 made by ONNX Runtime's own quantizers, and packed integer weights."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.formats._loading import COMPARES_ITSELF
from workbench.nouns import ModelCard, StoredWeight
from workbench.part import Format, SaveContext, Session

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

FILE = "model.onnx"


class Onnx(Format):
    """Exported through torch.export; weights beyond 2 GB lie in model.onnx.data beside the graph."""

    title = "ONNX"
    source = "torch.onnx.export (dynamo); onnxruntime.quantization"
    runtime = ("onnxruntime", "numpy")
    requires = ("onnx", "onnxscript", "onnxruntime")
    tolerance = 1e-3

    load_script = (
        '''"""Open this model with ONNX Runtime alone; run as a program, compare it with its recorded output."""
import json, pathlib, sys
import numpy, onnxruntime

here = pathlib.Path(__file__).resolve().parent
card = json.loads((here / "card.json").read_text())


def open_model(threads=0):
    """Return a function of input arrays by name that gives the output array; 0 threads = as many as there are cores."""
    as_written = {"providers": ["CPUExecutionProvider"], "disabled_optimizers": ["WeightBiasQuantization"]}  # float stays float
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.x64quantprecision", "1")  # sums of int8 products don't overflow without VNNI
    session = onnxruntime.InferenceSession(str(here / "model.onnx"), options, **as_written)
    return lambda inputs: session.run(None, inputs)[0]
'''
        + COMPARES_ITSELF
    )

    def why_not(self, card: ModelCard) -> list[str]:
        if card.precision == "bfloat16":
            return ["ONNX Runtime has no bfloat16 kernels on CPUs; choose format pt2"]
        if card.precision.startswith("int3"):
            return ["ONNX Runtime's MatMulNBits has kernels for 2, 4 and 8 bits, none for 3"]
        return []

    def save(self, model: nn.Module, folder: Path, ctx: SaveContext) -> dict[str, Any]:
        """Export, then lower what the steps recorded; returns what was read back from the file."""
        from workbench.formats import _onnx_graph, _stored

        path, simulated = folder / FILE, _stored.is_simulated(ctx.quantization)
        _onnx_graph.write(model, ctx.example, path, fold=not simulated)
        if ctx.quantization and not simulated:
            _lower(path, ctx)
        _onnx_graph.strip(path)
        return _onnx_graph.stored(path, ctx.quantization)

    def lower_again(self, source: Path, folder: Path, ctx: SaveContext) -> bool:
        """Exporting takes eight times as long as lowering; weights are called after their layers, so it need not be repeated."""
        from workbench.formats import _onnx_graph, _stored

        if _stored.is_simulated(ctx.quantization):
            return False
        for file in source.glob(f"{FILE}*"):
            shutil.copy(file, folder)
        _lower(folder / FILE, ctx)
        _onnx_graph.strip(folder / FILE)
        return True

    def open(self, folder: Path, *, threads: int = 1) -> Session:
        from workbench.formats import _onnx_session

        return _onnx_session.named(folder / FILE, threads)

    def open_from(self, files: Mapping[str, bytes], *, threads: int = 1) -> Session:
        from workbench.formats import _onnx_session

        beside = {name: content for name, content in files.items() if name.startswith(f"{FILE}.")}
        return _onnx_session.named(files[FILE], threads, beside)

    def scrub(self, folder: Path) -> list[str]:
        from workbench.formats import _onnx_graph

        return _onnx_graph.strip(folder / FILE)

    def stored(self, folder: Path) -> dict[str, StoredWeight]:
        """A normalisation that the exporter folded into its convolution is part of that one's weight."""
        from workbench.formats import _onnx_weights

        return _onnx_weights.stored(folder / FILE)

    def layer_ms(self, folder: Path, inputs: Mapping[str, np.ndarray]) -> dict[str, float]:
        from workbench.formats import _onnx_profile

        return _onnx_profile.layer_ms(folder / FILE, inputs)


def _lower(path: Path, ctx: SaveContext) -> None:
    from workbench.formats import _onnx_float8, _onnx_int8, _onnx_packed, _onnx_signs

    schemes = {how.scheme for how in ctx.quantization.values()}
    if schemes == {"weight_only"}:
        _onnx_packed.lower(path, ctx.quantization)
    elif schemes == {"signs"}:
        _onnx_signs.lower(path, ctx.quantization)
    elif schemes == {"float8"}:
        _onnx_float8.lower(path, ctx.quantization)
    else:
        _onnx_int8.lower(path, ctx)
