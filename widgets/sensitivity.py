"""How much each layer minds a step, and a recipe that treats layers accordingly: a click sets a layer's strength."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets import _words
from widgets._aside import aside
from widgets._layer_controls import LayerControls
from widgets._set_levels import SetLevels, fitting, levels_html
from widgets._tab_panel import TabPanel
from widgets.chart_host import Chart
from widgets.form import Form
from workbench import catalog, diagnose, queue
from workbench.charts.sensitivity import SensitivityData, sensitivity_data, sensitivity_figure
from workbench.errors import InvalidInput
from workbench.job import Job
from workbench.nouns import Run

if TYPE_CHECKING:
    from widgets.pump import Pump
    from widgets.session import Session

METRIC = "sensitivity"
WATCHED = ["model", "data", "steps", "format", "seed", "card", "runs", "queue", "scope"]
WHAT = (
    "A step is tried on each layer alone, at each level of its parameter, on the model after its leading training and without "
    "training afterwards. Only the validation split is read."
)
CLICK = "A click on a cell sets that layer's strength in the recipe."


class Sensitivity(TabPanel):
    """Shows the run that measured what the form asks for, else the newest of this model."""

    def __init__(self, session: Session, pump: Pump) -> None:
        self.session, self.pump = session, pump
        self.form = Form(catalog.get("measure", METRIC), on_change=self._changed, do=pump.do)
        self.compute = ipywidgets.Button(
            description="Compute", icon="play", tooltip="Puts the measurement of every layer into the queue"
        )
        self.compute.on_click(lambda _: pump.do(self._compute))
        self.budget = ipywidgets.BoundedFloatText(
            1.0, min=0.0, max=1000.0, step=0.1, description="Drop that is fine", continuous_update=False,
            tooltip="Cells above it are framed; points of accuracy (language models: per cent of perplexity)",
        )  # fmt: skip
        self.budget.observe(lambda _: pump.do(self.update, key=self), names="value")
        self.told, self.which, self.done, self.now = (ipywidgets.HTML() for _ in range(4))
        self.chart = Chart()
        self.chart.on_click(lambda cell: pump.do(self._click, cell))
        self.levels = SetLevels(session)
        self.controls = LayerControls(self._set, self._undo, pump)
        self.data: SensitivityData | None = None
        self._key: Any = None
        self._refused = ""  # why the job was not put into the queue
        self.view = self._laid_out()
        session.observe(lambda _: pump.do(self.update, key=self), names=WATCHED)

    def on_shown(self) -> None:
        """Draw what is known now, and follow it from now on."""
        limit = self.session.budgets.get("max_drop")
        if limit is not None:
            self.budget.value = limit
        super().on_shown()

    def static(self) -> list[Any]:
        """Return the heat map, for a notebook that nobody touches."""
        from IPython.display import HTML

        self.on_shown()
        self.pump.drain()
        head = HTML(_words.head("Sensitivity of each layer") + _words.note(WHAT) + self.which.value)
        return [head, *([sensitivity_figure(self.data)] if self.data else [])]

    def update(self) -> None:
        """Show how far the measurement is, and its result; the same result is not drawn again."""
        if not self.is_shown:
            return
        job, problem = self._job()
        entry = next((each for each in reversed(self.session.queue) if job and each.job_id == job.job_id), None)
        busy = entry is not None and not entry.finished
        self.compute.disabled = job is None or busy
        _words.say(self.told, self._progress(entry) or _words.problem(self._refused or problem))
        self._draw(job)
        self._tell_recipe()

    def _job(self) -> tuple[Job | None, str]:
        """Return the job that the form asks for; or None, and why there is none."""
        try:
            tried: Any = catalog.make("measure", self.form.value)
            base = self.session.job()
            return diagnose.sensitivity_job(base, tried.step, tried.parameter, tried.levels), ""
        except InvalidInput as error:
            return None, "" if self.form.problems else str(error)  # the form says its own beside the control

    def _progress(self, entry: queue.Entry | None) -> str:
        if entry is None or entry.state == "done":
            return ""
        if entry.finished:
            cause = (entry.error or {}).get("message", "no cause recorded")
            return _words.problem(f"The measurement {entry.state}: {cause}")
        how_far = f", {entry.done} of {entry.total} {entry.unit}" if entry.total else ""
        return _words.waiting(f"In the queue: {entry.state}{how_far} {entry.text or entry.why_waiting}".strip())

    def _draw(self, job: Job | None) -> None:
        run, why = self._measured(job)
        key = (run.run_id if run else None, self.budget.value, why)
        if key == self._key:
            return
        self._key, self.data = key, None
        if run is not None:
            self.data = sensitivity_data(run, budget=self.budget.value, layers=self._layers())
            self.chart.show(sensitivity_figure(self.data))
            self.controls.offer(self.data)
            self.budget.description = f"Drop that is fine ({self.data.unit})"
        _words.show(self.result, run is not None)
        _words.say(self.which, _words.note(why))

    def _measured(self, job: Job | None) -> tuple[Run | None, str]:
        """Return the run to show, and what it is."""
        runs = [run for run in self.session.of_this_model() if run.get("sensitivity_drop")]
        exact = [run for run in runs if job and run.job_id == job.job_id]
        if exact:
            return exact[-1], f"{CLICK} Measured in {exact[-1].run_id}."
        if runs:
            return runs[-1], f"{CLICK} Measured earlier, in {runs[-1].run_id}; what is set above was not computed yet."
        return None, "Nothing was measured yet: pick a step and its strengths, then Compute."

    def _layers(self) -> list[str]:
        """Return the layers that steps may change, in the model's order; those that were measured while no card is known."""
        card = self.session.card
        return (
            [layer.name for layer in card.layers if layer.prunable]
            if card
            else list(self.data.layers if self.data else ())
        )

    def _changed(self, record: dict[str, Any]) -> None:
        """Keep the strength to one that the picked step has."""
        step = record.get("step")
        if isinstance(step, dict) and step.get("use") in catalog.names("compress"):
            parameter, levels = fitting(step["use"], record.get("parameter", ""), record.get("levels", []))
            if (parameter, levels) != (record.get("parameter"), record.get("levels")):
                self.form.set({**record, "parameter": parameter, "levels": levels})
        self._refused = ""
        self.pump.do(self.update, key=self)

    def _compute(self) -> None:
        job, _ = self._job()
        if job is None:
            return
        store, self._refused, self.compute.disabled = self.session.store, "", True
        aside(self.pump, lambda: queue.put(job, store), lambda _: self._entered(""), self._entered)

    def _entered(self, refused: str) -> None:
        self._refused = refused
        self.session.refresh()
        self.update()

    def _click(self, cell: Any) -> None:
        if isinstance(cell, dict) and "layer" in cell:
            level = cell["level"] if cell.get("parameter") else 1.0  # without strength: changed at all
            self._set(cell["layer"], cell["step"], cell["parameter"], level)

    def _set(self, layer: str, step: str, parameter: str, level: float | None) -> None:
        try:
            said = _words.note(self.levels.set(layer, step, parameter, level, self._layers()))
        except InvalidInput as error:
            said = _words.problem(str(error))
        _words.say(self.done, said)
        self._tell_recipe()

    def _undo(self) -> None:
        _words.say(self.done, _words.note(self.levels.undo()))
        self._tell_recipe()

    def _tell_recipe(self) -> None:
        """Say what the recipe does to each layer now."""
        self.controls.can_undo(self.levels.can_undo)
        if self.data is None:
            return
        column = self.data.columns[0]
        _words.say(self.now, levels_html(self.session.steps, column.step, column.parameter, self._layers()))

    def _laid_out(self) -> ipywidgets.VBox:
        act = ipywidgets.Box([self.compute]).add_class("wb-flow")
        self.result = ipywidgets.VBox(
            [ipywidgets.Box([self.budget]).add_class("wb-flow"), self.chart, self.controls.view, self.done, self.now]
        )
        _words.show(self.result, False)
        parts = [ipywidgets.HTML(_words.note(WHAT)), self.form.view, act, self.told, self.which, self.result]
        return ipywidgets.VBox(parts).add_class("wb-sensitivity")
