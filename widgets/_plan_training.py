"""Every legal layout of a training step: lit where it fits, one chosen and explained, and checked by a simulation."""

from __future__ import annotations

import html
import shlex
from typing import TYPE_CHECKING, Any, Literal

import ipywidgets

from widgets import _words
from widgets._plan_check import PlanCheck
from widgets._plan_words import LAYOUTS, chosen_html, layout_rows, why_none_fits
from widgets.chart_host import Chart
from widgets.form import Form
from widgets.table_view import TableView
from workbench.charts.layouts import in_words, layouts_data, layouts_figure
from workbench.charts.planned_memory import planned_memory_data, planned_memory_figure
from workbench.errors import InvalidInput
from workbench.params import Params, build, param
from workbench.plan import training

if TYPE_CHECKING:
    from widgets.pump import Pump
    from workbench.plan.architecture import Architecture
    from workbench.plan.check import Checked
    from workbench.plan.devices import Device
    from workbench.store import Store


class Step(Params):
    """What a training step is."""

    batch: int | None = param(None, help="Sequences of a step in all; none = 8 a device", unit="sequences", ge=1)
    length: int | None = param(
        None, help="Tokens of a sequence; none = the model's context, at most 4096", unit="tokens", ge=1
    )
    precision: Literal["bfloat16", "float32"] = param("bfloat16", help="What is computed in; state stays float32")
    micro_batch: int = param(1, help="Sequences at once on a rank", unit="sequences", ge=1)
    optimizer: Literal["adamw", "sgd"] = param("adamw", help="Whose state every parameter has")
    price: float | None = param(None, help="Of a device for an hour", ge=0)


class PlanTraining:
    """`ask` fills it; a row of the table or a point of the chart chooses."""

    def __init__(self, pump: Pump, store: Store) -> None:
        self.pump = pump
        self.planned: list[training.Planned] = []
        self.chosen = 0
        self._asked: tuple[str, Architecture, Device, int] | None = None
        self.form = Form(Step, on_change=lambda _: self._again(), do=pump.do)
        self.told, self.why, self.command = (ipywidgets.HTML() for _ in range(3))
        self.chart, self.memory = Chart(), Chart()
        self.table = TableView("layouts", height=260)
        self.check = PlanCheck(pump, store, self._to_check, self._draw_memory)
        self.chart.on_click(lambda index: pump.do(self.choose, index))
        self.table.on_select(lambda ids: pump.do(self.choose, int(ids[-1])) if ids else None)
        self.found = ipywidgets.VBox(
            [self.told, self.chart, self.table.view, ipywidgets.HTML(_words.head("The chosen layout")), self.why, self.memory,
             self.check.view]
        )  # fmt: skip
        self.view = ipywidgets.VBox([self.form.view, self.command, self.found])

    def ask(self, source: str, model: Architecture, device: Device, number: int) -> None:
        """Plan a model over so many devices; `source` is what its name or place is."""
        self._asked = source, model, device, number
        try:
            wanted, price = self._wanted(model, number)
            self.planned = training.plan(model, device, number, wanted)
        except InvalidInput as error:
            self.planned = []
            _words.say(self.command, _words.problem(str(error)))
            _words.show(self.found, False)
            return
        _words.show(self.found, True)
        _words.say(self.command, f"<p>The same as a command: <code>{html.escape(self._line())}</code></p>")
        self.table.show(layout_rows(self.planned, price, number), LAYOUTS, key="id")
        self.choose(0)

    def choose(self, index: int) -> None:
        """Explain one layout."""
        if self._asked is None or not 0 <= index < len(self.planned):
            return
        _, _, device, _ = self._asked
        self.chosen = index
        drawn = layouts_data(
            [each.to_json() for each in self.planned], usable=training.USABLE * device.memory_bytes, chosen=index
        )
        _words.say(
            self.told,
            f'<p class="wb-headline">{html.escape(in_words(drawn))}</p>' + _words.problem(why_none_fits(self.planned)),
        )
        self.chart.show(layouts_figure(drawn))
        self.table.select([str(index)])
        _words.say(self.why, chosen_html(self.planned[index], device.memory_bytes))
        self.check.forget()
        self._draw_memory(None)

    def summary(self) -> str:
        """Return what was found, as HTML."""
        return self.told.value + self.why.value + self.command.value

    def close(self) -> None:
        self.check.stop()

    def _again(self) -> None:
        if self._asked:
            self.ask(*self._asked)

    def _wanted(self, model: Architecture, number: int) -> tuple[training.Wanted, float | None]:
        given = build(Step, self.form.value)
        length = given.length or min(model.context, 4096)
        wanted = training.Wanted(given.batch or 8 * number, length, given.micro_batch, given.precision, given.optimizer)
        return wanted, given.price

    def _to_check(self) -> tuple[str, training.Wanted, training.Layout] | None:
        """Return what the simulation takes; None while nothing is chosen."""
        if self._asked is None or not self.planned:
            return None
        source, model, _, number = self._asked
        return source, self._wanted(model, number)[0], self.planned[self.chosen].layout

    def _draw_memory(self, checked: Checked | None) -> None:
        assert self._asked is not None
        planned = checked.planned if checked else self.planned[self.chosen].memory
        data = planned_memory_data(
            planned,
            usable=training.USABLE * self._asked[2].memory_bytes,
            simulated=checked.simulated if checked else None,
        )
        self.memory.show(planned_memory_figure(data))

    def _line(self) -> str:
        assert self._asked is not None
        source, _, device, number = self._asked
        given: dict[str, Any] = {"devices": number, "device": device.name}
        defaults = {name: field.default for name, field in Step.model_fields.items()}
        given |= {name: value for name, value in self.form.value.items() if value != defaults[name]}
        words = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        return shlex.join(["workbench", "plan", source, *words])
