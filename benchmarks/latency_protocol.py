"""Can the latency metric tell a 3 % difference between two artifacts from none, on whatever machine this is?

Bar: in ≥ 19 of 20 repeats the metric's own verdict is right, once for an artifact with 3 % more work ("slower") and once for
a copy of the parent ("cannot be told apart"). Each repeat starts its own processes, so the controls cross restarts too.

The difference is exact by construction: one graph is a chain of 100 equal layers (a product of 16 × 64 by 64 × 64 and a
ReLU), the other a chain of 103. What a call costs beside its layers is a few per cent of the whole, so the true ratio of
times lies a little below 1.03; `ratio` in the results shows where.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _results import finish, median

from workbench import artifact, compare
from workbench.context import MeasuringContext
from workbench.fresh import fresh_process
from workbench.machine import Quiet
from workbench.measure.latency import Latency
from workbench.nouns import SCHEMA, Artifact, Measurement
from workbench.recorder import Recorder
from workbench.store import write_json

REPEATS = 20
ENOUGH = 19
LAYERS, MORE_LAYERS = 100, 103
ROWS, WIDTH = 16, 64


def chain(folder: Path, num_layers: int) -> Artifact:
    """Write an artifact whose work is `num_layers` equal layers."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    folder.mkdir()
    weight = np.random.default_rng(0).normal(0, WIDTH**-0.5, (WIDTH, WIDTH)).astype(np.float32)
    nodes, names = [], ["x", *(f"h{index}" for index in range(1, num_layers)), "logits"]
    for before, after in zip(names, names[1:]):
        nodes += [helper.make_node("MatMul", [before, "weight"], [f"{after}_sum"]), helper.make_node("Relu", [f"{after}_sum"], [after])]  # fmt: skip
    shape = ["batch", ROWS, WIDTH]
    graph = helper.make_graph(
        nodes, "chain", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)], [numpy_helper.from_array(weight, "weight")],
    )  # fmt: skip
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(folder / "model.onnx")
    )
    np.savez(folder / "probe.npz", input_x=np.ones((2, ROWS, WIDTH), np.float32))
    files = {path.name: {"sha256": artifact.sha256(path), "bytes": path.stat().st_size, "needed": path.name == "model.onnx"} for path in folder.iterdir()}  # fmt: skip
    write_json(
        folder / "card.json", {"schema": SCHEMA, "format": "onnx", "format_record": {"use": "onnx"}, "files": files}
    )
    return artifact.read(folder)


def measure(metric: Latency, this: Artifact, parent: Artifact, folder: Path, quiet: Quiet, seed: int) -> tuple[Measurement, Any]:  # fmt: skip
    """Return the metric's ratio to the parent, and the comparison with its verdict from the samples that it kept."""
    folder.mkdir()
    nothing: Any = None  # a latency needs neither data nor their card
    ctx = MeasuringContext(
        artifact=this, parent=parent, reference=None, data=nothing, data_card=nothing, folder=folder, seed=seed,
        recorder=Recorder(folder, folder.name), quiet=quiet, opener=artifact.open_session, starter=fresh_process,
    )  # fmt: skip
    found = next(each for each in metric.measure(ctx) if each.name == "latency_ratio_to_parent")
    with np.load(folder / "samples" / "latency.npz") as samples:
        return found, compare.ratio_interval(samples["this_ms"], samples["parent_ms"], seed=seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=REPEATS)
    repeats = parser.parse_args().repeats
    metric = Latency(threads=1, batch=1)
    results: dict[str, list[Any]] = {"3 % more": [], "a copy": []}
    measured: list[Measurement] = []
    with tempfile.TemporaryDirectory() as name, Quiet() as quiet:
        folder = Path(name)
        parent, copy, slower = (
            chain(folder / "a", LAYERS),
            chain(folder / "copy", LAYERS),
            chain(folder / "b", MORE_LAYERS),
        )
        for repeat in range(repeats):
            for label, this in (("3 % more", slower), ("a copy", copy)):
                found, result = measure(metric, this, parent, folder / f"{label}-{repeat}", quiet, repeat)
                results[label].append(result)
                measured.append(found)
                print(f"{repeat + 1:2}  {label:<9} {result.ratio:.4f} [{result.lo:.4f}, {result.hi:.4f}]  {result.verdict}", flush=True)  # fmt: skip
    right = {
        "3 % more": sum(each.verdict == "slower" for each in results["3 % more"]),
        "a copy": sum(each.verdict == "cannot be told apart" for each in results["a copy"]),
    }
    enough = round(repeats * ENOUGH / REPEATS)
    finish(
        "latency_protocol",
        {
            f"3 % more work is found slower in ≥ {enough} of {repeats} repeats ({right['3 % more']})": right["3 % more"] >= enough,
            f"a copy can't be told apart in ≥ {enough} of {repeats} repeats ({right['a copy']})": right["a copy"] >= enough,
        },
        summary=", ".join(f"{label}: right {right[label]}/{repeats}, ratio {median([each.ratio for each in each_result]):.4f}" for label, each_result in results.items()),
        figures={"right": right, "repeats": repeats, "protocol": metric.to_json(), "measured_alone": all(each.conditions["measured_alone"] for each in measured),
                 "other_cpu": median([each.conditions.get("other_cpu", 0.0) for each in measured])},
        samples={label: [[each.ratio, each.lo, each.hi, each.ratio_of_minima] for each in each_result] for label, each_result in results.items()},
    )  # fmt: skip


if __name__ == "__main__":
    main()
