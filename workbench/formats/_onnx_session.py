"""How every session of ours is set up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.part import Session

# Or ONNX Runtime would quantize, while loading, the layers that a step kept in float32 between int8 ones.
DISABLED = ["WeightBiasQuantization"]
# Without VNNI instructions the fast kernels sum pairs of uint8 · int8 products in 16 bits, which overflow.
EXACT = ("session.x64quantprecision", "1")


def options(threads: int) -> Any:
    import onnxruntime

    made = onnxruntime.SessionOptions()
    made.intra_op_num_threads = threads
    made.inter_op_num_threads = 1
    made.log_severity_level = 3
    made.add_session_config_entry(*EXACT)
    return made


def session(model: Path | bytes, set_up: Any) -> Any:
    """Open a file, or its content, on the CPU."""
    import onnxruntime

    return onnxruntime.InferenceSession(
        model if isinstance(model, bytes) else str(model),
        set_up,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=DISABLED,
    )


def named(model: Path | bytes, threads: int, beside: Mapping[str, bytes] | None = None) -> Session:
    """Return a session by output names; `beside` are the files of weights that a graph in memory refers to."""
    set_up = options(threads)
    if beside:
        set_up.add_external_initializers_from_files_in_memory(
            list(beside), list(beside.values()), [len(content) for content in beside.values()]
        )
    opened = session(model, set_up)
    names = [output.name for output in opened.get_outputs()]
    return lambda inputs: dict(zip(names, opened.run(None, dict(inputs))))
