"""An int8 file gives the same answer on every processor."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from workbench.formats import _onnx_session


def saturated_convolution() -> bytes:
    """A quantized 3 × 3 convolution, 8 → 8 channels, whose weights are all 127 and whose scales are 1: (1, 8, 8, 8)."""
    constants = {
        "one": np.float32(1),
        "zero": np.uint8(0),
        "ones": np.ones(8, np.float32),
        "zeros": np.zeros(8, np.int8),
    }
    constants |= {"weight": np.full((8, 8, 3, 3), 127, np.int8), "out": np.float32(2**16)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "one", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "one", "zero"], ["d"]),
        helper.make_node("DequantizeLinear", ["weight", "ones", "zeros"], ["w"], axis=0),
        helper.make_node("Conv", ["d", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("QuantizeLinear", ["c", "out", "zero"], ["r"]),
        helper.make_node("DequantizeLinear", ["r", "out", "zero"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 8, 8, 8]) for name in "xy"]
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10).SerializeToString()


def test_sums_of_products_do_not_overflow_where_the_processor_has_no_instruction_for_them() -> None:
    session = _onnx_session.session(saturated_convolution(), _onnx_session.options(1))
    (found,) = session.run(None, {"x": np.full((1, 8, 8, 8), 255, np.float32)})
    inside = np.rint(255 * 127 * 9 * 8 / 2**16) * 2**16
    assert (found[0, :, 1:-1, 1:-1] == inside).all()
