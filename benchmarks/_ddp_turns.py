"""(In each of several processes) the same training by hand with DDP and by us in turn, and by us with every other update told.

`main(["work", FOLDER, _])` reads FOLDER/wanted.json and writes FOLDER/turns.json, of the slowest process: the mean seconds of an
update of each turn, and those of single updates, told ones and silent ones beside each other.
"""

from __future__ import annotations

import copy
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from workbench import catalog, ranks
from workbench.launch import _bound
from workbench.nouns import Examples
from workbench.recorder import Recorder
from workbench.train import fit

WARM_UPS = 1


def by_hand(model: Any, examples: Examples, batch_size: int, updates: int) -> float:
    """What a person writes: DDP, AdamW, clipping, the loss read at each update."""
    wrapped = DistributedDataParallel(model)
    rule = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    inputs = {name: torch.from_numpy(array) for name, array in examples.inputs.items()}
    targets = torch.from_numpy(examples.targets)
    rank, own = dist.get_rank(), batch_size // dist.get_world_size()
    model.train()
    began = 0.0
    for update in range(WARM_UPS + updates):
        if update == WARM_UPS:
            began = time.perf_counter()
        rows = slice(update * batch_size + rank * own, update * batch_size + (rank + 1) * own)
        rule.zero_grad(set_to_none=True)
        outputs = wrapped(**{name: tensor[rows] for name, tensor in inputs.items()})
        loss = cross_entropy(outputs.flatten(0, -2), targets[rows].flatten(), ignore_index=-100)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        rule.step()
        loss.item()
    return (time.perf_counter() - began) / updates


def by_us(model: Any, examples: Examples, batch_size: int, says: list[Any]) -> list[float]:
    """Return the seconds of each update after the first ones; `says` take turns in being told, one update each."""
    layout: Any = catalog.make("layout", "data_parallel")
    moments: list[float] = []

    def told(*args: Any, **named: Any) -> None:
        says[len(moments) % len(says)](*args, **named)
        moments.append(time.perf_counter())

    spread = layout.spread(Path("nowhere"), every=0)
    fit(model, examples, seed=0, say=told, spread=spread, epochs=1, batch_size=batch_size)
    return np.diff(moments)[WARM_UPS - 1 :].tolist()


def silent(*_: Any, **__: Any) -> None:
    """Take what is said and do nothing with it."""


def slowest(team: ranks.Ranks, seconds: list[float]) -> list[float]:
    """Return of each number the largest of any process."""
    told: list[Any] = [None] * team.size
    dist.all_gather_object(told, seconds)
    return np.max(told, axis=0).tolist()


def main(arguments: list[str]) -> int:
    _bound.end_with_parent()
    place = Path(arguments[1])
    wanted, team = json.loads((place / "wanted.json").read_text()), ranks.mine(place)
    with team.joined(), tempfile.TemporaryDirectory() as folder:
        data: Any = catalog.make("data", wanted["data"])
        torch.manual_seed(0)
        model = catalog.make("zoo", wanted["model"]).build(data.card())  # type: ignore[attr-defined]
        train, batch, updates = data.load().train, wanted["batch"] * team.size, wanted["updates"]
        examples = train.take(np.arange((WARM_UPS + updates) * batch) % len(train))
        turns = {
            "hand": lambda part: by_hand(part, examples, batch, updates),
            "ours": lambda part: float(np.mean(by_us(part, examples, batch, [silent]))),
        }
        taken: dict[str, list[float]] = {"hand": [], "ours": [], "told": [], "silent": []}
        tell = Recorder(Path(folder), "run").say
        for number in range(wanted["rounds"]):
            names = list(turns) if number % 2 == 0 else list(reversed(turns))  # whoever is first is so half of the time
            for name in names:
                dist.barrier()
                taken[name] += slowest(team, [turns[name](copy.deepcopy(model))])
            dist.barrier()
            pair = ["told", "silent"] if number % 2 == 0 else ["silent", "told"]
            both = slowest(
                team,
                by_us(copy.deepcopy(model), examples, batch, [tell if name == "told" else silent for name in pair]),
            )
            for update, seconds in enumerate(both, start=WARM_UPS):
                taken[pair[update % 2]].append(seconds)
        if team.leads:
            (place / "turns.json").write_text(json.dumps(taken))
    return 0
