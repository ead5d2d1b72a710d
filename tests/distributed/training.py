"""One small training in float64, alone or by several processes together; as a script, many of them in one set of processes.

`python -m tests.distributed.training N FOLDER` reads FOLDER/cases.json and writes FOLDER/<case>.npz with the loss of every update,
the trained weights and the bytes of state per process; each case may also go on from what another one has left.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from workbench import catalog, ranks
from workbench.context import StepContext
from workbench.launch import _bound
from workbench.nouns import Examples, Splits
from workbench.spread import Spread
from workbench.train import fit

ROOT = Path(__file__).parents[2]
LM = {"use": "tiny_lm", "layers": 4, "width": 32, "heads": 4, "ffn": 64}
VIT = {"use": "vit", "layers": 4, "width": 32, "heads": 4}
RESNET = {"use": "resnet", "depth": 8, "width": 4}
DATA: dict[str, Any] = {
    "tiny_lm": {"use": "python_source", "length": 32, "num_examples": 200},
    "vit": {"use": "digits"},
    "resnet": {"use": "digits"},
}
WARMED = (
    "sklearn.datasets", "sklearn.model_selection", "transformers.models.llama.modeling_llama",
    "transformers.models.vit.modeling_vit", "torch.distributed.pipelining", "torch.distributed.checkpoint",
    "torch.distributed.fsdp", "torch.distributed.tensor.parallel", "torch._dynamo",
)  # fmt: skip
BATCH, NUM_EXAMPLES = 16, 90  # six updates, and the last one doesn't split evenly


class Stopped(Exception):
    """A training was left in the middle."""


@dataclass
class Told:
    """What a training tells, and what happens at some of its updates; `stop_after` one of them it is left."""

    losses: list[float] = field(default_factory=list)
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    at: dict[int, Callable[[], Any]] = field(default_factory=dict)
    stop_after: int = 0  # 0 = never
    mean: float = 0.0
    state_bytes: list[int] = field(default_factory=list)  # by process

    def __call__(self, text: str = "", *, values: Mapping[str, float] | None = None, **progress: Any) -> None:
        self.texts.append(text)
        if values:
            self.losses.append(values["loss"])
            self.at.get(len(self.losses), lambda: None)()
            if len(self.losses) == self.stop_after:
                raise Stopped


def train(case: Mapping[str, Any], spread: Spread | None = None, told: Told | None = None) -> Told:
    """Train the model of a case for six updates and return what it tells."""
    import torch

    model_part: Any = catalog.make("zoo", case["model"])
    data: Any = catalog.make("data", case.get("data") or DATA[model_part.name()])
    torch.manual_seed(0)
    model = model_part.build(data.card()).double()
    train = data.load().train.take(slice(0, NUM_EXAMPLES))
    inputs = {
        name: array.astype(np.float64) if array.dtype == np.float32 else array for name, array in train.inputs.items()
    }
    told = told or Told()
    options = {"epochs": 1, "batch_size": BATCH, "learning_rate": 1e-2, "clip": 0.5, **case.get("options", {})}
    told.mean = fit(model, Examples(inputs, train.targets), seed=3, say=told, spread=spread, **options)["loss"]
    told.weights.update({name: tensor.numpy() for name, tensor in model.state_dict().items()})
    return told


def change(case: Mapping[str, Any], spread: Callable[[Path], Spread] | None = None, told: Told | None = None) -> Told:
    """Carry out the step of a case on an untrained model and return what it tells, ranges of layers among the weights."""
    import torch

    model_part: Any = catalog.make("zoo", case["model"])
    data: Any = catalog.make("data", DATA[model_part.name()])
    splits = data.load()
    parts = [
        getattr(splits, name).take(slice(0, NUM_EXAMPLES)) for name in ("train", "validation", "calibration", "test")
    ]
    for part in parts:
        part.inputs.update({name: array.astype(np.float64) for name, array in part.inputs.items()})
    told = told or Told()
    torch.manual_seed(0)
    model = model_part.build(data.card()).double()
    ctx = StepContext(
        Splits(*parts), data.card(), 3, Recording(told), load_model=lambda ref, epochs: ctx.build(ref),  # type: ignore[arg-type]
        build_model=lambda ref: catalog.make("zoo", ref).build(data.card()).double(),  # type: ignore[attr-defined]
        spread=spread, checkpoints=Path("nowhere"),
    )  # fmt: skip
    step: Any = catalog.make("compress", case["step"])
    changed = step.run(model, ctx)
    told.weights.update({name: tensor.numpy() for name, tensor in changed.state_dict().items()})
    told.weights.update({f"range of {name}": np.array(each.input_range) for name, each in ctx.quantization.items()})
    return told


@dataclass
class Recording:
    """A step's recorder that keeps what a training tells."""

    told: Told

    def say(self, text: str = "", **progress: Any) -> None:
        self.told(text, **progress)

    def cancelled(self) -> bool:
        return False


def together(cases: Mapping[str, Any], folder: Path, *, processes: int) -> dict[str, Told]:
    """Return what each case tells, all of them run in turn by one set of processes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cases.json").write_text(json.dumps(cases))
    command = [sys.executable, "-m", "tests.distributed.training", str(processes), str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400)
    assert ended.returncode == 0, ended.stderr[-6000:]
    found = {}
    for name in cases:
        with np.load(folder / f"{name}.npz") as read:
            weights = {key: read[key] for key in read.files if key not in ("losses", "state_bytes")}
            found[name] = Told(read["losses"].tolist(), weights, state_bytes=read["state_bytes"].tolist())
    return found


def main(processes: int, folder: Path) -> int:
    """Import once, fork the processes, and return 0 when all went well: each import of torch would cost seconds."""
    for name in WARMED:
        importlib.import_module(name)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    parent = os.getpid()
    for rank in range(processes):
        if os.fork() == 0:
            place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
            os.environ |= {key: str(value) for key, value in place.items()}
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test"}
            _bound.end_with_parent(parent)
            take_part(folder)
            os._exit(0)
    for _ in range(processes):
        if os.wait()[1]:
            return 1  # the others end with this process
    return 0


def take_part(folder: Path) -> None:
    """(In each process) run every case, and write what it tells."""
    team, is_done = ranks.mine(folder), False
    try:
        with team.joined():
            for name, case in json.loads((folder / "cases.json").read_text()).items():
                one(name, case, folder, team)
        is_done = True
    finally:
        if not is_done:
            traceback.print_exc()
            os._exit(1)


def one(name: str, case: Mapping[str, Any], folder: Path, team: ranks.Ranks) -> None:
    import torch.distributed as dist

    layout: Any = catalog.make("layout", case["layout"])
    told = Told(stop_after=case.get("stop_after", 0))
    spread = layout.spread(folder / case.get("folder", name), every=case.get("every", 0))
    states: list[Any] = [None] * team.size
    if "step" in case:
        states = []
        change(case, lambda folder: layout.spread(folder, every=0), told)
    else:
        told.at[1] = lambda: dist.all_gather_object(states, state_bytes(spread))
        with contextlib.suppress(Stopped):
            train(case, spread, told)
    if team.leads:
        arrays: dict[str, Any] = {**told.weights, "losses": np.array(told.losses), "state_bytes": np.array(states)}
        np.savez(folder / f"{name}.npz", **arrays)


def state_bytes(spread: Spread) -> int:
    """Return the bytes of this process's parameters, gradients, and two moments of each."""
    parameters = [each for module in spread.modules for each in module.parameters()]
    sizes = [getattr(each, "to_local", lambda each=each: each)().nbytes for each in parameters]
    return 4 * sum(sizes)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2])))
