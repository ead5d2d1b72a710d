"""Peers of `peers_speed.py`: what a person makes of a trained program with a runtime's own tools, and how it is opened.

As a program it times artifacts of ours and peers in turn: `python benchmarks/_peers.py SPEC.json` prints samples as JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import runpy
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

Inputs = Mapping[str, np.ndarray]
Session = Callable[[Inputs], np.ndarray]
INT8 = ("onnxruntime dynamic int8", "onnxruntime static int8", "onnxruntime static int8, 7 bits", "openvino int8")


def make(
    program: Path, calibration: Sequence[dict[str, np.ndarray]], folder: Path, *, transformer: bool
) -> dict[str, Any]:
    """Write every peer's files into `folder`; returns {peer: {"kind", "path"}}, and {"left out": {peer: reason}}."""
    import openvino

    folder.mkdir(parents=True, exist_ok=True)
    onnx = folder / "float32.onnx"
    with _quiet():
        _exported(program, onnx, list(calibration[0]))
        made = {
            "torch eager": {"kind": "torch", "path": str(program)},
            "onnxruntime float32": {"kind": "onnxruntime", "path": str(onnx)},
            "onnxruntime dynamic int8": {"kind": "onnxruntime", "path": str(_dynamic(onnx))},
            "onnxruntime static int8": {"kind": "onnxruntime", "path": str(_static(onnx, calibration, seven=False))},
            "onnxruntime static int8, 7 bits": {"kind": "onnxruntime", "path": str(_static(onnx, calibration, seven=True))},
            "openvino float32": {"kind": "openvino f32", "path": str(onnx)},
            "openvino int8": {"kind": "openvino f32", "path": str(_by_nncf(onnx, calibration, transformer))},
        }  # fmt: skip
    left_out = {}
    if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        made["openvino bfloat16"] = {"kind": "openvino bf16", "path": str(onnx)}
    else:
        left_out["openvino bfloat16"] = "this processor has no bfloat16 instructions"
    return {**made, "left out": left_out}


def _exported(program: Path, path: Path, names: list[str]) -> None:
    import torch

    torch.onnx.export(
        torch.export.load(str(program)), input_names=names, output_names=["logits"], dynamo=True, verbose=False
    ).save(str(path))  # type: ignore[union-attr]


def _prepared(onnx: Path) -> Path:
    from onnxruntime.quantization.shape_inference import quant_pre_process

    path = onnx.with_name("prepared.onnx")
    if not path.exists():
        quant_pre_process(str(onnx), str(path), skip_symbolic_shape=True)
    return path


def _dynamic(onnx: Path) -> Path:
    """Products alone, as ONNX Runtime's guide has it: convolutions become slower."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = onnx.with_name("dynamic.onnx")
    quantize_dynamic(
        str(_prepared(onnx)), str(path), op_types_to_quantize=["MatMul", "Gemm"], per_channel=True, weight_type=QuantType.QInt8
    )  # fmt: skip
    return path


def _static(onnx: Path, calibration: Sequence[dict[str, np.ndarray]], *, seven: bool) -> Path:
    """`seven`: weights of 7 bits, as its guide has it for processors without VNNI, whose sums overflow otherwise."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches = iter(calibration)

        def get_next(self) -> Any:
            return next(self.batches, None)

    path = onnx.with_name("static7.onnx" if seven else "static.onnx")
    quantize_static(
        str(_prepared(onnx)), str(path), Reader(), quant_format=QuantFormat.QDQ, per_channel=True, reduce_range=seven,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip
    return path


def _by_nncf(onnx: Path, calibration: Sequence[dict[str, np.ndarray]], transformer: bool) -> Path:
    import nncf
    import openvino

    singles = [{name: array[index : index + 1] for name, array in batch.items()} for batch in calibration
               for index in range(len(next(iter(batch.values()))))]  # fmt: skip
    graph = nncf.quantize(
        openvino.Core().read_model(onnx), nncf.Dataset(singles), subset_size=len(singles), preset=nncf.QuantizationPreset.MIXED,
        model_type=nncf.ModelType.TRANSFORMER if transformer else None,
    )  # fmt: skip
    path = onnx.with_name("nncf.xml")
    openvino.save_model(graph, str(path), compress_to_fp16=False)
    return path


@contextlib.contextmanager
def _quiet() -> Any:
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def opened(kind: str, path: str) -> Session:
    """Open a peer's file, or an artifact of ours by its own load.py (kind: its format), on one thread."""
    if kind == "torch":
        return _torch(path)
    if kind == "onnxruntime":
        return _onnxruntime(path)
    if kind.startswith("openvino "):
        return _openvino(path, kind.removeprefix("openvino "))
    open_model: Callable[..., Session] = runpy.run_path(str(Path(path) / "load.py"))["open_model"]
    return open_model(threads=1)


def _torch(path: str) -> Session:
    import torch

    torch.set_num_threads(1)
    module = torch.export.load(path).module()

    def run(inputs: Inputs) -> np.ndarray:
        with torch.inference_mode():
            return module(*(torch.from_numpy(array) for array in inputs.values())).numpy()  # type: ignore[no-any-return]

    return run


def _onnxruntime(path: str) -> Session:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = 1, 1, 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, dict(inputs))[0]  # type: ignore[no-any-return]


def _openvino(path: str, hint: str) -> Session:
    import openvino

    settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": hint}
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    return lambda inputs: compiled(dict(inputs))[0]  # type: ignore[no-any-return]


def main() -> None:
    from workbench.measure import _timing

    spec = json.loads(Path(sys.argv[1]).read_text())
    sessions = [partial(opened, each["kind"], each["path"]) for each in spec["variants"]]
    timing = _timing.interleaved(
        sessions, probe=spec["probe"], batch=spec["batch"], pairs=spec["pairs"], singles=1, turn=spec["turn"]
    )
    next(timing)
    try:
        next(timing)
    except StopIteration as ended:
        print(json.dumps(ended.value["samples_ms"]))


if __name__ == "__main__":
    main()
