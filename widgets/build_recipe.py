"""Builds a recipe: ordered steps, each with its knobs, its estimate and what stands against it; format, metrics, seed."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets._add_step import AddStep
from widgets._estimate_words import advice_words, change_words, cost_words
from widgets._judged import Judged, Place, judge, places, refused_formats
from widgets._pick_metrics import PickMetrics
from widgets._presets import PRESETS, preset_steps
from widgets._step_row import StepRow
from widgets.form import Form, pick_one
from workbench import catalog
from workbench.estimate import NO_CEILINGS
from workbench.params import Params, param

if TYPE_CHECKING:
    from widgets.pump import Pump
    from widgets.session import Session

WATCHED = ["model", "data", "steps", "format", "metrics", "seed", "card", "runs"]


class Seed(Params):
    seed: int = param(0, help="Decides everything that is random in this job", ge=0, lt=2**31)


class BuildRecipe:
    """The session's steps, format, metrics and seed; whatever changes them elsewhere is shown here too."""

    def __init__(self, session: Session, pump: Pump) -> None:
        self.session, self.pump = session, pump
        self.rows: list[StepRow] = []
        self.presets = {name: self._preset(name) for name in PRESETS}
        self.start = ipywidgets.HTML().add_class("wb-estimate")
        self.advice = ipywidgets.HTML().add_class("wb-advice")
        self.steps = ipywidgets.VBox().add_class("wb-steps")
        self.add = AddStep(self._insert, pump.do)
        self.format = pick_one("formats", self._set_format, pump.do, name="format", help="How the model is written")
        self.metrics = PickMetrics(self._set_metrics, pump.do)
        self.seed = Form(Seed, on_change=self._set_seed, do=pump.do)
        self.view = self._laid_out()
        session.observe(lambda _change: pump.do(self.update, key=self.update), names=WATCHED)
        self.update()

    def update(self) -> None:
        """Show the session as it is now, with fresh estimates and reasons."""
        session = self.session
        self._show_steps(session.steps)
        self.format.show(session.format)
        self.metrics.show(session.metrics)
        self.seed.set({"seed": session.seed})
        judged = judge(session.job_record(), session.card)
        self._tell(judged)
        self.pump.do(self._renew_choices, judged, key=self._renew_choices)

    def _show_steps(self, steps: list[dict[str, Any]]) -> None:
        """Give each step a row; rows stay as they are unless steps came, went or changed places."""
        if self._names() != [step["use"] for step in steps]:
            spare = list(self.rows)
            same = [_take(spare, lambda row, step=step: row.record == step) for step in steps]
            self.rows = [
                row or _take(spare, lambda row, step=step: row.part.name() == step["use"]) or self._row(step)
                for row, step in zip(same, steps)
            ]
            self.steps.children = [row.view for row in self.rows]
        for index, (row, step) in enumerate(zip(self.rows, steps)):
            row.show(step)
            row.place(index, len(steps))

    def _tell(self, judged: Judged) -> None:
        num_legal = judged.num_legal(len(self.rows))
        runs = [f"run:{run.run_id}" for run in self.session.of_this_model()]
        for index, row in enumerate(self.rows):
            if judged.cards:
                card = judged.cards[min(index, num_legal)]
                row.suggest([layer.name for layer in card.layers if layer.prunable], runs)
            row.tell(judged.steps.get(index, []), *_lines(judged, index, num_legal))
        self.start.value = _start(judged)
        self.advice.value = html.escape(advice_words(judged.costs))
        self.format.say("; ".join(judged.format))
        self.metrics.tell(judged.metrics)

    def _renew_choices(self, judged: Judged) -> None:
        """Say which steps and formats can't be picked now, and why."""
        if judged.job is None:
            return
        self.format.refuse(refused_formats(judged.cards[-1]))
        num_steps = len(self.session.steps)
        if len(judged.job.steps) == num_steps:
            self.add.offer(places(judged.job, judged.cards))
        else:  # what could follow a step that can't run isn't known: nothing is refused
            self.add.offer({name: Place(num_steps) for name in catalog.names("compress")})

    def _act(self, row: StepRow, action: str) -> None:
        """Move, double or remove the step of a row; the rows follow the session."""
        index, steps = self._place(row), list(self.session.steps)
        if index is None:
            return  # it went while the click was on its way
        step = steps.pop(index)
        again = {"up": [index - 1], "down": [index + 1], "duplicate": [index, index], "remove": []}[action]
        for place in again:
            steps.insert(max(0, place), step)
        self._set_steps(steps)

    def _edit(self, row: StepRow, record: dict[str, Any]) -> None:
        """Take over what a person set in a row; what came from elsewhere in the meantime stays."""
        index, steps = self._place(row), list(self.session.steps)
        if index is not None:
            row.record = steps[index] = record
            self._set_steps(steps)

    def _place(self, row: StepRow) -> int | None:
        """Return which of the session's steps a row shows; None when it shows none any more."""
        if self._names() != [step["use"] for step in self.session.steps]:
            self._show_steps(self.session.steps)  # a preset was pressed and the rows haven't followed yet
        return self.rows.index(row) if row in self.rows else None

    def _names(self) -> list[str]:
        return [row.part.name() for row in self.rows]

    def _insert(self, index: int, record: dict[str, Any]) -> None:
        steps = list(self.session.steps)
        steps.insert(index, record)
        self._set_steps(steps)

    def _set_steps(self, steps: list[dict[str, Any]]) -> None:
        self.session.steps = steps

    def _set_format(self, record: dict[str, Any]) -> None:
        self.session.format = record

    def _set_metrics(self, records: list[dict[str, Any]]) -> None:
        self.session.metrics = records

    def _set_seed(self, values: dict[str, Any]) -> None:
        if not self.seed.problems:
            self.session.seed = values["seed"]

    def _row(self, step: dict[str, Any]) -> StepRow:
        return StepRow(step, on_change=self._edit, on_action=self._act, do=self.pump.do)

    def _preset(self, name: str) -> ipywidgets.Button:
        button = ipywidgets.Button(description=name, tooltip=f"Replace the recipe: {name}", layout={"width": "auto"})
        button.on_click(lambda _: self.pump.do(self._use_preset, name))
        return button.add_class("wb-small")

    def _use_preset(self, name: str) -> None:
        card = self.session.card
        self._set_steps(preset_steps(name, self.session.steps, pretrained=bool(card and card.pretrained)))

    def _laid_out(self) -> ipywidgets.VBox:
        presets = ipywidgets.Box([ipywidgets.HTML("start from"), *self.presets.values()]).add_class("wb-presets")
        format_row = ipywidgets.VBox(self.format.widgets).add_class("wb-row").add_class("wb-pick-format")
        last = [_head("Format"), format_row, _head("Measured"), self.metrics.view, self.seed.view]
        recipe = [_head("Recipe"), presets, self.start, self.steps, self.advice, self.add.view]
        return ipywidgets.VBox([*recipe, *last]).add_class("wb-build-recipe")


def _start(judged: Judged) -> str:
    """Return the estimate before the first step as HTML, and why it lacks a latency."""
    if not judged.costs:
        return ""
    note = '<span class="wb-note">latency isn\'t estimated before <code>workbench doctor</code> has measured this machine</span>'
    unknown = note if NO_CEILINGS in judged.costs[0].notes else ""
    return f"<span>as built: {html.escape(cost_words(judged.costs[0]))}</span>{unknown}"


def _lines(judged: Judged, index: int, num_legal: int) -> list[str]:
    """Return what the estimate says of one step, then what it can't know before the step has run."""
    if not judged.costs:
        return ["no estimate: the model isn't known yet"]
    if index < num_legal:
        before, after = judged.cards[index : index + 2]
        news = [note for note in after.notes if note not in before.notes]
        return [change_words(judged.costs[index], judged.costs[index + 1]), *news]
    return [f"no estimate: {'this step' if index == num_legal else f'step {num_legal + 1}'} can't run like this"]


def _take(rows: list[StepRow], wanted: Callable[[StepRow], bool]) -> StepRow | None:
    """Remove and return the first row that is wanted; None when there is none."""
    for row in rows:
        if wanted(row):
            rows.remove(row)
            return row
    return None


def _head(text: str) -> ipywidgets.HTML:
    return ipywidgets.HTML(f'<h3 class="wb-head">{text}</h3>')
