"""What lies in a saved artifact layer by layer, beside the run that it came from.

Computed in a fresh process, so that neither torch nor ONNX enters the caller, and written once to
`<store>/.facts/<run>+<parent>.json`.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from workbench import artifact, machine
from workbench.describe import model_card
from workbench.errors import InvalidInput
from workbench.fresh import fresh_process
from workbench.job import Job, digest
from workbench.nouns import Run
from workbench.store import disk_errors, write_json

FUNCTION = "workbench.diagnose._reading:facts"


def layer_facts(run: Run, parent: Run | None) -> list[dict[str, Any]]:
    """Return one record per layer, in the model's order; takes seconds the first time.

    Keys: layer, kind, shape, precision (dtype as stored), num_params and nonzero (of the weight; a bias is left out), bytes
    (weight as stored, with scales), sqnr_db and cosine against the parent's weight, ms (batch 1, one thread; None where the runtime tells none), hist_before,
    hist_after (counts), hist_edges, note (why something is None), conditions of ms. Without a parent nothing is compared.
    """
    if (known := kept_facts(run, parent)) is not None:
        return known
    job = Job.from_json(run.job)
    card = job.cards(model_card(job))[-1]
    question = {
        "folder": str(_folder(run)), "parent": None if parent is None else str(_folder(parent)),
        "layers": [asdict(layer) for layer in card.layers],
    }  # fmt: skip
    with machine.Quiet() as quiet, fresh_process(FUNCTION, [], threads=1, options=question) as process:
        process.wait_until_ready()
        with quiet.exclusive() as told:
            rows = process.answer()
    for row in rows:
        row["conditions"] = {} if row["ms"] is None else {"batch": 1, "threads": 1, **told}
    place = _place(run, parent)
    with disk_errors(place):
        place.parent.mkdir(exist_ok=True)
        write_json(place, {"of": _contents(run, parent), "layers": rows})
    return rows


def kept_facts(run: Run, parent: Run | None) -> list[dict[str, Any]] | None:
    """Return the same from disk, at once; None when these artifacts were not looked at yet."""
    place = _place(run, parent)
    try:
        record = orjson.loads(place.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return None
    return record["layers"] if record.get("of") == _contents(run, parent) else None


def _folder(run: Run) -> Path:
    if not run.artifact:
        raise InvalidInput([f"{run.run_id} is {run.status} and has no artifact to look into"])
    return Path(run.folder) / run.artifact


def _place(run: Run, parent: Run | None) -> Path:
    name = run.run_id if parent is None else f"{run.run_id}+{parent.run_id}"
    return _folder(run).parents[1] / ".facts" / f"{name}.json"


def _contents(run: Run, parent: Run | None) -> str:
    """Return a hash of what was looked at: the id of a deleted run may be given away again."""
    return digest([artifact.read(_folder(each)).card["files"] for each in (run, parent) if each is not None])
