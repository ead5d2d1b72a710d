"""What happens inside a worker: load ► step ► step ► save ► measure from disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from workbench import artifact, ranks
from workbench.context import MeasuringContext
from workbench.fresh import fresh_process
from workbench.job import Job
from workbench.machine import Quiet
from workbench.nouns import Artifact, Splits
from workbench.one_more import OneMore
from workbench.ranks import Ranks
from workbench.recorder import Recorder
from workbench.states import States, data_hash, final_card
from workbench.store import Store


def follow_through(draft: Path, store: Store, said: Recorder, quiet: Quiet, team: Ranks) -> None:
    """Take part in every step of the job in `draft` that is spread over processes; the leader does the rest."""
    with team.joined():
        if team.agree(None):
            return
        job, splits, data_sha256 = _loaded(draft, said)
        States(job, splits, data_sha256, store, said, quiet, team=team).go_together()


def carry_through(
    draft: Path, store: Store, said: Recorder, quiet: Quiet, result: dict[str, Any], *, team: Ranks
) -> None:
    """Carry out the job in `draft`; what is known so far goes into `result` as it is found, also before a failure."""
    job, splits, result["data_sha256"] = _loaded(draft, said)
    states = States(job, splits, result["data_sha256"], store, said, quiet, team=team)
    if team.size > 1:
        with team.joined():
            if not team.agree(states.need_nobody()):
                states.go_together()
        states.team = ranks.ALONE
    state = states.after_all()
    result["cached"] = tuple(states.cached)
    with said.piece("save"):
        card = final_card(job)
        saved = artifact.save(job, card, state, splits, draft)
    result["artifact"] = "artifact/"
    related: Any = _relatives(draft, store)
    ctx = MeasuringContext(
        artifact=saved, data=splits, data_card=job.data.card(), folder=draft, seed=job.seed, recorder=said, quiet=quiet,
        opener=artifact.open_session, starter=fresh_process, changer=OneMore(states, state, card, saved), **related,
        layers=tuple(layer.name for layer in card.layers if layer.prunable),
    )  # fmt: skip
    if state.controls:
        result["controls"] = _keep_controls(ctx, state.controls)
    measurements: list[Any] = []
    for metric in job.metrics:
        with said.piece(f"measure.{metric.name()}"):
            measurements += metric.measure(ctx)
        result["measurements"] = tuple(measurements)


def _loaded(draft: Path, said: Recorder) -> tuple[Job, Splits, str]:
    """Return the job in `draft`, its data and the data's hash."""
    job = Job.from_json(orjson.loads((draft / "job.json").read_bytes()))
    with said.piece("load"):
        splits = job.data.load()
        return job, splits, data_hash(splits)


def _relatives(draft: Path, store: Store) -> dict[str, Artifact | None]:
    found: dict[str, Artifact | None] = {"parent": None, "reference": None}
    for role, run_id in orjson.loads((draft / "relatives.json").read_bytes()).items():
        if run_id:
            found[role] = artifact.read(Path(store.get(run_id).folder) / "artifact")
    return found


def _keep_controls(ctx: MeasuringContext, controls: dict[str, Any]) -> dict[str, Any]:
    """Write the predictions of control models and return their accuracies (k, n per split)."""
    told: dict[str, Any] = {}
    for name, arrays in controls.items():
        samples = ctx.keep("controls.npz", **{f"{name}_{key}": array for key, array in arrays.items()})
        told[name] = {"samples_in": samples}
        for split in ("validation", "test"):
            targets = getattr(ctx.data, split).targets
            outputs = arrays[f"{split}_outputs"]
            if outputs.ndim == 2:
                told[name][split] = {"k": int((outputs.argmax(-1) == targets).sum()), "n": len(targets)}
    return told
