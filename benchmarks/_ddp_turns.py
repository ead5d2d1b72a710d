"""(Under torch.distributed.run) the same training three ways in turn: by hand with DDP, by us, by us with events written.

Writes OUT with the mean seconds of an update of each turn, of the slowest process.
"""

from __future__ import annotations

import copy
import json
import sys
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


def by_us(model: Any, examples: Examples, batch_size: int, updates: int, say: Any) -> float:
    layout: Any = catalog.make("layout", "data_parallel")
    moments: list[float] = []

    def told(*args: Any, **named: Any) -> None:
        say(*args, **named)
        moments.append(time.perf_counter())

    spread = layout.spread(Path("nowhere"), every=0)
    fit(model, examples, seed=0, say=told, spread=spread, epochs=1, batch_size=batch_size)
    return (moments[-1] - moments[WARM_UPS - 1]) / updates


def main(wanted: dict[str, Any], out: Path) -> None:
    team = ranks.mine(out)
    with team.joined(), tempfile.TemporaryDirectory() as folder:
        data: Any = catalog.make("data", wanted["data"])
        torch.manual_seed(0)
        model = catalog.make("zoo", wanted["model"]).build(data.card())  # type: ignore[attr-defined]
        train, batch, updates = data.load().train, wanted["batch"] * team.size, wanted["updates"]
        examples = train.take(np.arange((WARM_UPS + updates) * batch) % len(train))
        turns = {
            "hand": lambda part: by_hand(part, examples, batch, updates),
            "ours": lambda part: by_us(part, examples, batch, updates, lambda *_, **__: None),
            "events": lambda part: by_us(part, examples, batch, updates, Recorder(Path(folder), "run").say),
        }
        taken: dict[str, list[float]] = {name: [] for name in turns}
        for number in range(wanted["rounds"]):
            names = list(turns) if number % 2 == 0 else list(reversed(turns))  # whoever is first is so half of the time
            for name in names:
                dist.barrier()
                told: list[Any] = [None] * team.size
                dist.all_gather_object(told, turns[name](copy.deepcopy(model)))
                taken[name].append(max(told))
        if team.leads:
            out.write_text(json.dumps(taken))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), Path(sys.argv[2]))
