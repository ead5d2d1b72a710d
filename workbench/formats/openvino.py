"""OpenVINO's own files: float32, bfloat16 weights, and int8 made by NNCF; often the fastest on x86 processors."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.formats._loading import COMPARES_ITSELF
from workbench.nouns import ModelCard, StoredWeight
from workbench.part import Format, SaveContext, Session

if TYPE_CHECKING:
    from torch import nn

FILE, WEIGHTS = "model.xml", "model.bin"
PRECISIONS = ("float32", "bfloat16", "int8 static", "int4 static")


class Openvino(Format):
    """Read from the ONNX export, so layers keep their names. Computes in float32, or bfloat16 where a step asked for it.

    Left to itself OpenVINO would store float16 and compute in bfloat16: rows called float32 would not be. Processors without
    bfloat16 instructions compute float32 with the bfloat16 weights; without VNNI sums of int8 products overflow in OpenVINO, and
    answers are worse than the file's numbers: choose format onnx there.
    """

    title = "OpenVINO"
    source = (
        "OpenVINO 2026; int8: NNCF post-training quantization (min-max, SmoothQuant and bias correction), or the ranges that a "
        "step has found, by ONNX Runtime's quantizer"
    )
    runtime = ("openvino", "numpy")
    requires = ("openvino", "nncf", "onnx", "onnxscript")
    extra = "openvino"
    tolerance = 1e-3

    load_script = (
        '''"""Open this model with OpenVINO alone; run as a program, compare it with its recorded output."""
import json, pathlib, sys
import numpy, openvino

here = pathlib.Path(__file__).resolve().parent
card = json.loads((here / "card.json").read_text())


def open_model(threads=0):
    """Return a function of input arrays by name that gives the output array; 0 threads = as many as there are cores."""
    settings = {"INFERENCE_PRECISION_HINT": "bf16" if "bfloat16" in card["precision"]["weights"] else "f32"}
    if threads:
        settings |= {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
    model = openvino.Core().compile_model(here / "model.xml", "CPU", settings)
    return lambda inputs: model(inputs)["logits"]
'''
        + COMPARES_ITSELF
    )

    def why_not(self, card: ModelCard) -> list[str]:
        if card.precision not in PRECISIONS:
            return [f"{card.precision} is not lowered to OpenVINO; choose format onnx, or int8_static"]
        return []

    def save(self, model: nn.Module, folder: Path, ctx: SaveContext) -> dict[str, Any]:
        """Export, lower what the steps recorded; returns what was read back from the files."""
        from workbench.formats import _onnx_graph, _onnx_int8, _openvino_graph

        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            path = Path(scratch) / "model.onnx"
            _onnx_graph.write(model, ctx.example, path)
            if _openvino_graph.has_ranges(ctx.quantization):
                _onnx_int8.lower(path, ctx)
                graph = _openvino_graph.read(path)
            else:
                graph = _openvino_graph.lowered(_openvino_graph.read(path), ctx)
            _openvino_graph.write(graph, folder / FILE)
        return _openvino_graph.summary(folder / FILE, ctx.quantization)

    def open(self, folder: Path, *, threads: int = 1) -> Session:
        return _session(folder / FILE, folder / WEIGHTS, threads)

    def open_from(self, files: Mapping[str, bytes], *, threads: int = 1) -> Session:
        return _session(files[FILE], files[WEIGHTS], threads)

    def stored(self, folder: Path) -> dict[str, StoredWeight]:
        from workbench.formats import _openvino_graph

        return _openvino_graph.stored(folder / FILE)


def _session(graph: Path | bytes, weights: Path | bytes, threads: int) -> Session:
    from workbench.formats import _openvino_graph

    compiled = _openvino_graph.compiled(graph, weights, threads=threads)
    return lambda inputs: {"logits": compiled(dict(inputs))["logits"]}
