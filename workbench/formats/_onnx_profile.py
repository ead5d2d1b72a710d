"""How long ONNX Runtime spends in each layer, by its own profiler."""

from __future__ import annotations

import json
import re
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.formats import _onnx_session, _onnx_weights

if TYPE_CHECKING:
    import numpy as np

SECONDS, FEWEST_CALLS, MOST_CALLS = 0.5, 10, 300
WARM_UP_CALLS = 3
ENDING = "_kernel_time"
ADDED = re.compile(r"(_token_\d+|_nchwc|_MatMul|_quant)+$")  # what ONNX Runtime adds to a name when it rewrites a node
PASSED_OVER = {"Relu", "Clip", "Add", "QuantizeLinear", "DequantizeLinear"}  # fused into the node before them


def layer_ms(path: Path, inputs: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return the median milliseconds of a call that go into each layer: one thread, sums over the nodes that hold it.

    The profiler counts whole microseconds and is itself part of what it times: read these as shares of one another.
    """
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
        events, optimised = _profiled(path, inputs, Path(folder))
        owners = _owners(path, optimised)
    taken: dict[str, list[int]] = defaultdict(list)  # by node
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(ENDING):
            taken[event["name"].removesuffix(ENDING)].append(event["dur"])
    found: dict[str, float] = defaultdict(float)
    for node, microseconds in taken.items():
        if node in owners:
            found[owners[node]] += statistics.median(microseconds[WARM_UP_CALLS:]) / 1000
    return dict(found)


def _profiled(path: Path, inputs: Mapping[str, np.ndarray], folder: Path) -> tuple[list[dict[str, Any]], Path]:
    """Return the profiler's events, and the graph as it really ran."""
    options = _onnx_session.options(1)
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "profile")
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    session = _onnx_session.session(path, options)
    ends, calls = time.monotonic() + SECONDS, 0
    while calls < FEWEST_CALLS + WARM_UP_CALLS or (calls < MOST_CALLS and time.monotonic() < ends):
        session.run(None, dict(inputs))
        calls += 1
    return json.loads(Path(session.end_profiling()).read_text()), folder / "optimised.onnx"


def _owners(path: Path, optimised: Path) -> dict[str, str]:
    """Return the layer of each node that ran: by its tensors' names, else by the node that it was made from."""
    import onnx

    written = onnx.load(str(path), load_external_data=False).graph
    ran = onnx.load(str(optimised), load_external_data=False).graph
    layers = {_onnx_weights.layer_of(tensor.name) for tensor in written.initializer if _is_weight(tensor.name)}
    by_node = _layers_of_nodes(written, layers)
    producers = {output: node for node in written.node for output in node.output}
    found = {}
    for node in ran.node:
        plain = ADDED.sub("", node.name)
        made_from = [layer for name in _upwards(plain, producers) if (layer := by_node.get(name))]
        owner = next(iter([*_named(node, layers), *made_from]), None)
        if owner:
            found[node.name] = owner
    return found


def _layers_of_nodes(graph: Any, layers: set[str]) -> dict[str, str]:
    """Return the layer of each node that reads a weight, directly or through its dequantizing node."""
    read = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    found = {}
    for node in graph.node:
        for name in node.input:
            tensor = read.get(name, name)
            if _is_weight(tensor) and node.op_type != "DequantizeLinear":
                found[ADDED.sub("", node.name)] = _onnx_weights.layer_of(tensor)
    return {node: layer for node, layer in found.items() if layer in layers}


def _named(node: Any, layers: set[str]) -> Iterator[str]:
    """Yield layers whose weight or bias a node reads under its own name."""
    for name in node.input:
        layer = _onnx_weights.layer_of(name) if _is_weight(name) else name.rpartition(".bias")[0]
        if layer in layers:
            yield layer


def _upwards(name: str, producers: Mapping[str, Any]) -> Iterator[str]:
    """Yield the name itself, and, when it is a value's, the nodes that it comes from up to a weighted one."""
    yield name
    node = producers.get(name)
    while node is not None:
        yield ADDED.sub("", node.name)
        node = producers.get(node.input[0]) if node.op_type in PASSED_OVER and node.input else None


def _is_weight(tensor: str) -> bool:
    return _onnx_weights.layer_of(tensor) + _onnx_weights.WEIGHT in tensor
