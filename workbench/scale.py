"""How much faster more processes are, beside as many independent ones: both lose what the machine lacks, only one talks.

One set of processes per number goes through rounds, each of three turns: rank 0 trains alone, all train independently, all
train together under the job's layout. The batch grows with the processes (weak scaling). A round in which independent
processes are much slower than one alone was disturbed by somebody else, and is thrown away.
"""

from __future__ import annotations

import copy
import datetime
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from workbench import bench, machine, ranks, table
from workbench.errors import InvalidInput, RunFailed
from workbench.job import Job
from workbench.launch import _bound, _elastic, _order
from workbench.launch.torchrun import Torchrun
from workbench.nouns import SCHEMA, Examples, Run
from workbench.store import Store, disk_errors, write_json

if TYPE_CHECKING:
    from torch import nn

    from workbench.spread import Spread

FOLDER = ".scaling"  # in a store: one dated record per experiment
ALONE = "alone"  # file that tells the processes that the machine is theirs
WARM_UPS = 3  # updates before the clock starts
TRIES = 3  # rounds for each one that is to be kept, at most
DISTURBED = 1.1  # control over solo, times for one update


@dataclass(frozen=True)
class Plan:
    """What is measured: so many kept rounds of so many timed updates, with the step's own batch for each process."""

    processes: tuple[int, ...] = (2,)
    rounds: int = 5
    updates: int = 20
    disturbed: float = DISTURBED


def scale(job: Job, store: Store, plan: Plan, *, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Measure how a job's first training scales, and keep and return the record (see `charts.scaling`).

    Raises InvalidInput for a job that can't be spread over one of the numbers, RunFailed when processes break.
    """
    jobs = {num: _over(job, num) for num in plan.processes}
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H%M%SZ")
    with disk_errors(store.root):
        place = store.root / FOLDER / f"{date}-{job.job_id}"
        place.mkdir(parents=True)
    points = []
    for num, spread in jobs.items():
        say(f"{num} processes: each round alone, independent, together")
        points.append(_measured(spread, store, plan, place / str(num)))
    like = Run("", "", "planned", job.to_json())
    record = {
        "schema": SCHEMA, "kind": "scaling", "date": date, "job": job.to_json(), "plan": vars(plan) | {"processes": list(plan.processes)},
        "title": f"{table.model_text(like)} on {table.data_text(like)}, {like.job['layout']['use']}",
        "points": points, "thrown": sum(each["thrown"] for each in points), "load1": round(os.getloadavg()[0], 2),
        "machine": machine.facts(), "versions": machine.versions(),
    }  # fmt: skip
    with disk_errors(store.root):
        write_json(place.with_suffix(".json"), record)
    return record


def kept(store: Store) -> list[dict[str, Any]]:
    """Return the records of a store, newest first."""
    return [orjson.loads(path.read_bytes()) for path in sorted((store.root / FOLDER).glob("*.json"), reverse=True)]


def _over(job: Job, num: int) -> Job:
    if job.layout is None:
        raise InvalidInput(["a layout says how processes work together"], next_move="--layout data_parallel")
    index, step = next(((i, each) for i, each in enumerate(job.steps) if each.spreads and each.trains), (0, None))
    if step is None:
        raise InvalidInput(["no step here is plain training that is spread"], next_move="--step train")
    batch_size = int(step.batch_size) * num  # type: ignore[attr-defined]
    grown = step.model_copy(update={"batch_size": batch_size})
    steps = (*job.steps[:index], grown, *job.steps[index + 1 :])
    spread = replace(job, steps=steps, launcher=Torchrun(nproc=num, restarts=0))
    bench.check(spread)
    return spread


def _measured(job: Job, store: Store, plan: Plan, folder: Path) -> dict[str, Any]:
    """Start the processes, wait for them, and return what rank 0 has written."""
    num = job.launcher.num_processes
    machine.refuse_to_wait()
    folder.mkdir()
    write_json(folder / "experiment.json", {"job": job.to_json(), "plan": vars(plan)})
    wanted = replace(_order.order(folder, store.root, 1), module="workbench.scale")
    with machine.Quiet() as quiet:
        worker = _elastic.here(wanted, num, restarts=0)
        try:
            worker.wait_until_made()  # a parent that warms up is work: it would wait for the quiet that we hold
            with quiet.exclusive():
                (folder / ALONE).touch()
                code = worker.wait()
        except BaseException:  # also Ctrl-C: nobody waits any more
            worker.cancel()
            raise
    if code:
        tail = (folder / "log.txt").read_text(errors="replace").strip().splitlines()[-1:]
        first = _order.first_failure(folder) or (tail or [f"exit code {code}"])[0]
        raise RunFailed(f"measuring {num} processes failed: {first}", next_move=f"read {folder / 'log.txt'}")
    found: dict[str, Any] = orjson.loads((folder / "found.json").read_bytes())
    return found


# ── in each process ───────────────────────────────────────────────────────────────────────────────────────────────────


def main(arguments: Sequence[str]) -> int:
    """`work FOLDER STORE`, as launchers start it."""
    folder = Path(arguments[1])
    _bound.end_with_parent()
    team = ranks.mine(folder)
    with team.joined():
        rounds = _Rounds(folder, team)
        while not (folder / ALONE).exists():  # whoever started us is still waiting for others to stand aside
            time.sleep(0.02)
        found = rounds.go()
    if team.leads:
        write_json(folder / "found.json", found)
    return 0


class _Rounds:
    def __init__(self, folder: Path, team: ranks.Ranks) -> None:
        import torch

        experiment = orjson.loads((folder / "experiment.json").read_bytes())
        self.team, self.folder, self.job = team, folder, Job.from_json(experiment["job"])
        self.plan = Plan(**experiment["plan"])
        self.step: Any = next(each for each in self.job.steps if each.spreads and each.trains)
        torch.manual_seed(self.job.seed)
        self.model = self.job.model.build(self.job.data.card())
        self.train = self.job.data.load().train
        self.state_bytes = 0  # of this process while all train together

    def go(self) -> dict[str, Any]:
        import torch.distributed as dist

        num, kept = self.team.size, dict[str, list[float]](together=[], independent=[])
        thrown, every = 0, []
        own, grown = self.step.batch_size // num, self.step.batch_size
        limit = self.plan.disturbed * max(1.0, num / (os.cpu_count() or 1))
        for _ in range(self.plan.rounds * TRIES):
            solo = self._turn(own, only_leader=True)
            independent = self._turn(own)
            together = self._turn(grown, spread=True)
            round_ = {"solo_s": solo, "independent_s": independent, "together_s": together}
            round_["kept"] = self.team.agree(independent <= limit * solo)
            every.append(round_)
            if not round_["kept"]:
                thrown += 1
                continue
            kept["independent"].append(num * solo / independent)
            kept["together"].append(num * solo / together)
            if len(kept["together"]) == self.plan.rounds:
                break
        state = [0] * num
        dist.all_gather_object(state, self.state_bytes)
        return {"processes": num, **kept, "thrown": thrown, "rounds": every, "state_bytes": state}

    def _turn(self, batch_size: int, *, only_leader: bool = False, spread: bool = False) -> float:
        """Train anew and return the mean seconds of a timed update, of the slowest process; all begin together."""
        import torch.distributed as dist

        from workbench.spread import Spread

        assert self.job.layout is not None
        dist.barrier()
        taken = 0.0
        if self.team.leads or not only_leader:
            how = self.job.layout.spread(self.folder / "none", every=0) if spread else Spread()
            if spread:
                self._weigh(how)
            taken = self._train(copy.deepcopy(self.model), batch_size, how)
        told: list[float] = [0.0] * self.team.size
        dist.all_gather_object(told, taken)
        return max(told)

    def _weigh(self, how: Spread) -> None:
        """Note the bytes of parameters, gradients and optimizer state that this process holds after an update."""
        keep = how.keep

        def weighed(optimizers: list[Any], **named: Any) -> None:
            if not self.state_bytes:
                self.state_bytes = _held_bytes(how.modules, optimizers)
            keep(optimizers, **named)

        how.keep = weighed  # type: ignore[method-assign]

    def _train(self, model: nn.Module, batch_size: int, spread: Spread) -> float:
        from workbench.train import fit

        total, moments = WARM_UPS + self.plan.updates, list[float]()

        def note(*_: Any, **__: Any) -> None:
            moments.append(time.perf_counter())

        options = {**self.step.model_dump(), "epochs": 1, "batch_size": batch_size}
        fit(model, _rows(self.train, total * batch_size), seed=self.job.seed, say=note, spread=spread, **options)
        return (moments[-1] - moments[WARM_UPS - 1]) / self.plan.updates


def _held_bytes(modules: list[nn.Module], optimizers: list[Any]) -> int:
    """Return the bytes of this process's own parts."""
    parameters = [each for module in modules for each in module.parameters()]
    held = [*parameters, *(each.grad for each in parameters if each.grad is not None)]
    held += [
        value
        for each in optimizers
        for state in each.state.values()
        for value in state.values()
        if hasattr(value, "numel")
    ]
    local = [each.to_local() if hasattr(each, "to_local") else each for each in held]
    return sum(each.numel() * each.element_size() for each in local)


def _rows(examples: Examples, count: int) -> Examples:
    """Return so many examples, again and again the same where there are fewer."""
    import numpy as np

    return examples.take(np.arange(count) % len(examples))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
