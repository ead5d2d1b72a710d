"""Times two finished runs alternately, however long ago each was made; the samples are written once and found again.

They lie in `<store>/.comparisons/<a>+<b>-NN.npz`: `a_ms` and `b_ms`, both (restarts, pairs), and `conditions` as JSON.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import artifact, machine
from workbench.errors import InvalidInput
from workbench.fresh import fresh_caller
from workbench.nouns import Run
from workbench.store import Store, disk_errors

if TYPE_CHECKING:
    import numpy as np

RESTARTS, PAIRS = 3, 34  # as in the metric `latency`: 102 pairs tell 3 % from none


@dataclass(frozen=True)
class Together:
    """Milliseconds of one call of each, sampled alternately."""

    a_ms: np.ndarray  # (restarts, pairs)
    b_ms: np.ndarray
    conditions: dict[str, Any]  # threads, batch, measured_alone, load1, other_cpu


def measure_together(a: Run, b: Run, store: Store, *, threads: int = 1, batch: int = 1) -> Together:
    """Time both artifacts in the same fresh processes with the machine to ourselves, and keep the samples.

    Raises InvalidInput when a run has no artifact or the two take different inputs.
    """
    import numpy as np

    _check(a, b)
    saved = [artifact.read(_folder(run)) for run in (a, b)]
    probe = str(_folder(a) / "probe.npz")
    options = {"probe": probe, "batch": batch, "pairs": PAIRS, "singles": 1}
    with machine.Quiet() as quiet, quiet.exclusive() as told:
        answers = [
            fresh_caller(
                "workbench.measure._timing:interleaved", saved, threads=threads, options={**options, "turn": turn}
            )
            for turn in range(RESTARTS)
        ]
    samples = np.array([answer["samples_ms"] for answer in answers])  # (restarts, 2, pairs)
    found = Together(samples[:, 0], samples[:, 1], {"threads": threads, "batch": batch, **told})
    _keep(found, a, b, store)
    return found


def kept(a: Run, b: Run, store: Store) -> Together | None:
    """Return the newest samples of these two; None when they were never timed together by `measure_together`."""
    import numpy as np

    files = dict.fromkeys(_place(store).glob(f"{a.run_id}+{b.run_id}-*.npz"), (a, b))
    files |= dict.fromkeys(_place(store).glob(f"{b.run_id}+{a.run_id}-*.npz"), (b, a))
    if not files:
        return None
    newest = max(files, key=lambda path: (path.stat().st_mtime_ns, path.name))
    with np.load(newest) as arrays:
        first, second, how = arrays["a_ms"], arrays["b_ms"], json.loads(str(arrays["conditions"]))
    return Together(first, second, how) if files[newest][0] is a else Together(second, first, how)


def _check(a: Run, b: Run) -> None:
    problems = [f"{run.run_id} is {run.status}: there is nothing to time" for run in (a, b) if not run.artifact]
    if a.run_id == b.run_id:
        problems.append(f"{a.run_id} can't be timed against itself")
    if not problems and _inputs(a) != _inputs(b):
        problems.append(f"the two take different inputs: {_inputs(a)} and {_inputs(b)}")
    if problems:
        raise InvalidInput(problems)


def _inputs(run: Run) -> Any:
    return artifact.read(_folder(run)).card["inputs"]


def _folder(run: Run) -> Path:
    return Path(run.folder) / run.artifact


def _place(store: Store) -> Path:
    return store.root / ".comparisons"


def _keep(found: Together, a: Run, b: Run, store: Store) -> None:
    import numpy as np

    with disk_errors(store.root):
        _place(store).mkdir(exist_ok=True)
        number = 1 + len(list(_place(store).glob(f"{a.run_id}+{b.run_id}-*.npz")))
        with (_place(store) / f"{a.run_id}+{b.run_id}-{number:02d}.npz").open("xb") as file:
            np.savez(file, a_ms=found.a_ms, b_ms=found.b_ms, conditions=json.dumps(found.conditions))
