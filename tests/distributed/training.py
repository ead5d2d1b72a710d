"""One small training in float64, alone or by several processes together; as a script, many of them in one set of processes.

`python -m torch.distributed.run --nproc-per-node=N -m tests.distributed.training CASES.json OUT` writes OUT/<case>.npz with the
loss of every update and, from rank 0, the trained weights; each case may also go on from what another one has left.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from workbench import catalog, ranks
from workbench.nouns import Examples
from workbench.train import Spread, fit

ROOT = Path(__file__).parents[2]
LM = {"use": "tiny_lm", "layers": 4, "width": 32, "heads": 4, "ffn": 64}
VIT = {"use": "vit", "layers": 4, "width": 32, "heads": 4}
DATA: dict[str, Any] = {
    "tiny_lm": {"use": "python_source", "length": 32, "num_examples": 200},
    "vit": {"use": "digits"},
    "resnet": {"use": "digits"},
}
BATCH, NUM_EXAMPLES = 16, 90  # six updates, and the last one doesn't split evenly


@dataclass(frozen=True)
class Told:
    """What a training tells afterwards."""

    losses: list[float] = field(default_factory=list)
    weights: dict[str, np.ndarray] = field(default_factory=dict)

    def __call__(self, text: str = "", *, values: Mapping[str, float] | None = None, **progress: Any) -> None:
        if values:
            self.losses.append(values["loss"])


def train(case: Mapping[str, Any], spread: Spread | None = None) -> Told:
    """Train the model of a case for six updates and return what it tells."""
    import torch

    model_part: Any = catalog.make("zoo", case["model"])
    data: Any = catalog.make("data", DATA[model_part.name()])
    torch.manual_seed(0)
    model = model_part.build(data.card()).double()
    train = data.load().train.take(slice(0, NUM_EXAMPLES))
    inputs = {
        name: array.astype(np.float64) if array.dtype == np.float32 else array for name, array in train.inputs.items()
    }
    told = Told()
    options = {"epochs": 1, "batch_size": BATCH, "learning_rate": 1e-2, "clip": 0.5, **case.get("options", {})}
    fit(model, Examples(inputs, train.targets), seed=3, say=told, spread=spread, **options)
    told.weights.update({name: tensor.numpy() for name, tensor in model.state_dict().items()})
    return told


def together(cases: Mapping[str, Any], folder: Path, *, processes: int) -> dict[str, Told]:
    """Return what each case tells, all of them run in turn by one set of processes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cases.json").write_text(json.dumps(cases))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command += ["-m", "tests.distributed.training", str(folder / "cases.json"), str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400)
    assert ended.returncode == 0, ended.stderr[-6000:]
    found = {}
    for name in cases:
        with np.load(folder / f"{name}.npz") as read:
            weights = {key: read[key] for key in read.files if key != "losses"}
            found[name] = Told(read["losses"].tolist(), weights)
    return found


def main(cases: Path, out: Path) -> None:
    team = ranks.mine(out)
    ranks.end_with_agent()
    with team.joined():
        for name, case in json.loads(cases.read_text()).items():
            layout: Any = catalog.make("layout", case["layout"])
            told = train(case, layout.spread(out / case.get("folder", name)))
            if team.leads:
                np.savez(out / f"{name}.npz", losses=np.array(told.losses), **told.weights)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
