"""What a person has picked and looks at: one observable state for all panels, with no widget in it.

A session is JSON and back. What it knows of the disk (`runs`, `queue`, `marks`) is read by `refresh`, changes by whole
tuples, and is not part of that JSON: another kernel reads the same store.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import traitlets

from widgets._shelf import Shelf
from workbench import catalog, queue
from workbench.compare import Budgets, Choice, choose
from workbench.errors import InvalidInput, WorkbenchError
from workbench.job import DEFAULT_METRICS, Job
from workbench.nouns import ModelCard, Run
from workbench.params import did_you_mean
from workbench.store import Store

SCHEMA = 1
KEPT = (
    "store_folder", "model", "data", "steps", "format", "metrics", "seed", "layout", "launcher", "budgets", "a", "b", "selected", "where", "scope",
    "x", "y", "split",
)  # fmt: skip
JOB = ("model", "data", "steps", "format", "metrics", "seed", "layout", "launcher")
MOST_TO_CHOOSE_AT_ONCE = 200
NO_BUDGETS = asdict(Budgets())


class Session(traitlets.HasTraits):
    """The state that panels share; every trait but the last group survives `to_json` and `from_json`."""

    store_folder = traitlets.Unicode("runs")
    model = traitlets.Dict()
    data = traitlets.Dict()
    steps = traitlets.List(traitlets.Dict())
    format = traitlets.Dict()
    metrics = traitlets.List(traitlets.Dict())
    seed = traitlets.Int(0)
    layout = traitlets.Dict(None, allow_none=True)  # None = one process trains
    launcher = traitlets.Dict()

    budgets = traitlets.Dict()  # the fields of compare.Budgets; None = no limit
    a = traitlets.Unicode("")  # run id to compare with; "" = the parent of b
    b = traitlets.Unicode("")  # run id that was picked; "" = none
    selected = traitlets.Tuple()  # run ids brushed in a chart or the table
    where = traitlets.Unicode("")  # the table's filter, as in `workbench table --where`
    scope = traitlets.Enum(("this model", "all models"), "this model")  # which runs on this data are shown
    x = traitlets.Unicode("artifact_bytes")
    y = traitlets.Unicode("accuracy")
    split = traitlets.Enum(("validation", "test"), "validation")

    card = traitlets.Instance(ModelCard, allow_none=True)  # of the picked model; None until it is known
    runs = traitlets.Tuple()  # finished runs of the store, oldest first
    queue = traitlets.Tuple()  # queue.Entry: waiting, running, just ended
    marks = traitlets.Dict()  # run id → tags, note, pinned

    def __init__(self, store_folder: str | Path = "runs", **picked: Any) -> None:
        super().__init__(store_folder=str(store_folder))
        self.shelf = Shelf(self.store)
        self.asked_for = dict(picked)
        self._chosen: tuple[Any, Choice] | None = None
        self._shown: tuple[tuple[Any, ...], list[Run]] | None = None
        self.set_job({"model": "lenet_5", "data": "digits", "steps": [{"use": "train"}], **picked})
        self.budgets = dict(NO_BUDGETS)

    @property
    def store(self) -> Store:
        return Store(self.store_folder)

    # ── the job ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def job_record(self) -> dict[str, Any]:
        """Return the picked job as it stands, legal or not."""
        return {name: getattr(self, name) for name in JOB}

    def job(self) -> Job:
        """Return the picked job; raises InvalidInput with every problem of its values."""
        return Job.from_json(self.job_record())

    def problems(self) -> list[str]:
        """Return every reason why the picked job can't run; empty means it can (as far as its card is known)."""
        try:
            job = self.job()
        except InvalidInput as error:
            return list(error.problems)
        return job.why_not(self.card) if self.card or not job.model.card_needs_module else job.why_not()

    def set_job(self, record: Mapping[str, Any]) -> None:
        """Take over the parts of a job, such as `run.job`; parts as names or records, defaults filled in."""
        wanted = {key: value for key, value in record.items() if key in JOB}
        wanted = {"format": "onnx", "metrics": list(DEFAULT_METRICS), "seed": 0, **wanted}
        full = Job.from_json(wanted).to_json()
        with self.hold_trait_notifications():
            for name in JOB:
                if getattr(self, name) != full[name]:
                    setattr(self, name, full[name])

    @traitlets.observe("model", "data")
    def _renew_card(self, _change: Any) -> None:
        """Make the card where that needs no worker; else it is None until the model's panel has fetched it."""
        try:
            model, data = catalog.make("zoo", self.model), catalog.make("data", self.data)
            known = not (model.missing() or model.card_needs_module or model.why_not(data.card()))  # type: ignore[attr-defined]
            self.card = model.card(data.card()) if known else None  # type: ignore[attr-defined]
        except WorkbenchError:
            self.card = None  # `problems` says why

    # ── the runs ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def refresh(self) -> None:
        """Look at the disk: new runs, deleted runs, what waits and how far it is."""
        news = self.shelf.look()
        if news is not None:
            self.runs = news
        marked = self.shelf.marks()
        if marked != self.marks:
            self.marks = marked
        entries = queue.entries(self.store)
        if entries != self.queue:
            self.queue = entries

    @traitlets.observe("store_folder")
    def _other_store(self, _change: Any) -> None:
        self.shelf = Shelf(self.store)
        self.runs, self.queue, self.marks = (), (), {}

    def run_of(self, run_id: str) -> Run | None:
        """Return a finished run by its id; None when the store has none."""
        return self.shelf.by_id.get(run_id)

    def shown(self) -> list[Run]:
        """Return the finished runs on the picked data: of the picked model, or of all models."""
        key = self.runs, self.data, self.scope, self.model.get("use")
        if self._shown is None or self._shown[0][0] is not key[0] or self._shown[0][1:] != key[1:]:
            mine = (run for run in key[0] if run.job.get("data") == key[1])
            if key[2] == "this model":
                mine = (run for run in mine if _model_name(run) == key[3])
            self._shown = key, list(mine)  # panels ask at every turn of a knob
        return list(self._shown[1])

    def of_this_model(self) -> list[Run]:
        """Return the done runs that are shown."""
        return [run for run in self.shown() if run.status == "done"]

    def compared(self) -> tuple[Run, Run] | None:
        """Return (a, b) as they are compared; None while there are no two."""
        b = self.run_of(self.b)
        a = self.run_of(self.a or (b.parent or "" if b else ""))
        return (a, b) if a and b and a.run_id != b.run_id and a.status == b.status == "done" else None

    def choice(self) -> Choice | None:
        """Return the recommendation under the budgets among what is shown; None while nothing is done.

        Raises InvalidInput when the runs can't be held against each other or a budget is out of bounds.
        """
        runs = self.of_this_model()
        if not runs:
            return None
        key = tuple(run.run_id for run in runs), tuple(sorted(self.budgets.items()))
        if self._chosen is None or self._chosen[0] != key:
            self._chosen = key, choose(runs, Budgets(**self.budgets))
        return self._chosen[1]

    def pick_something(self) -> None:
        """Pick the recommended run where none is, so that comparing has something to show at first."""
        if self.b or len(self.runs) > MOST_TO_CHOOSE_AT_ONCE:
            return
        try:
            choice = self.choice()
        except InvalidInput:
            return  # the panel that chooses says why
        found = (choice.recommended or choice.unproven) if choice else None
        if found is None or not found.parent:
            found = next((run for run in reversed(self.of_this_model()) if run.parent in self.shelf.by_id), None)
        self.b = found.run_id if found else ""

    # ── to JSON and back ────────────────────────────────────────────────────────────────────────────────────────────────

    def to_json(self) -> dict[str, Any]:
        """Return what was picked as plain values."""
        return {"schema": SCHEMA, **json.loads(json.dumps({name: getattr(self, name) for name in KEPT}))}

    def take(self, record: Mapping[str, Any]) -> None:
        """Take over what `to_json` returned; raises InvalidInput with every problem and changes nothing then."""
        problems = [f"unknown key {key!r}{did_you_mean(key, KEPT)}" for key in record if key not in (*KEPT, "schema")]
        if record.get("schema", SCHEMA) != SCHEMA:
            problems.append(f"schema {record['schema']!r} is not {SCHEMA}: made by another version of the workbench")
        trial = Session()
        try:
            trial.set_job({name: record[name] for name in JOB if name in record} | _missing_job(record))
            Budgets(**record.get("budgets", {}))
        except InvalidInput as error:
            problems += error.problems
        except TypeError as error:
            problems.append(f"budgets: {error}")
        rest = {name: record[name] for name in KEPT if name in record and name not in (*JOB, "budgets")}
        for name, value in rest.items():
            try:
                setattr(trial, name, tuple(value) if name == "selected" else value)
            except traitlets.TraitError as error:
                problems.append(f"{name}: {error}")
        if problems:
            raise InvalidInput(problems, next_move="a session is what Session.to_json returns")
        trial.budgets = {**NO_BUDGETS, **record.get("budgets", {})}
        with self.hold_trait_notifications():
            for name in KEPT:
                if getattr(self, name) != getattr(trial, name):
                    setattr(self, name, getattr(trial, name))

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Session:
        """Return the session that `to_json` described; raises InvalidInput with every problem."""
        session = cls()
        session.take(record)
        return session


def _missing_job(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: default for name, default in (("model", "lenet_5"), ("data", "digits")) if name not in record}


def _model_name(run: Run) -> str:
    """Return the zoo part a run started from, also of a distilled student: its parent's recipe says it in `steps`."""
    model = run.job.get("model")
    return str(model.get("use") if isinstance(model, Mapping) else model)
