"""An export reads torch's table of operators only once in a process."""

from __future__ import annotations

from typing import Any

from workbench import _torchlib


def test_the_exporter_is_handed_the_same_table_again() -> None:
    from torch.onnx._internal.exporter import _registration

    _torchlib.read_once()
    _torchlib.read_once()
    apis: Any = _registration.onnxscript_apis
    table = apis.get_torchlib_ops()
    assert apis.get_torchlib_ops() is table and len(table) > 100
