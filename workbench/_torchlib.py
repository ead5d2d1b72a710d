"""The table of ONNX operators that torch.onnx needs for an export, read once in a process.

torch (2.13) parses the sources of 500 functions for it at every export, which is a third of a small model's export.
"""

from __future__ import annotations

import functools


def read_once() -> None:
    """Keep the table from the next export on. A torch that has it elsewhere goes on reading it each time."""
    from torch.onnx._internal.exporter import _registration

    apis = getattr(_registration, "onnxscript_apis", None)
    if apis and not hasattr(apis.get_torchlib_ops, "cache_info"):
        apis.get_torchlib_ops = functools.cache(apis.get_torchlib_ops)
