"""Generating text on some devices at each precision of the weights: latency, throughput, how many sequences fit."""

from __future__ import annotations

import html
import shlex
from typing import TYPE_CHECKING

import ipywidgets

from widgets import _words
from widgets._plan_words import SERVED, served_rows
from widgets.form import Form
from widgets.table_view import TableView
from workbench.errors import InvalidInput
from workbench.params import Params, build, param
from workbench.plan import serving

if TYPE_CHECKING:
    from widgets.pump import Pump
    from workbench.plan.architecture import Architecture
    from workbench.plan.devices import Device


class Texts(Params):
    """What is asked of a server."""

    context: int | None = param(
        None, help="Tokens that a sequence may reach; none = the model's context, at most 4096", unit="tokens", ge=2
    )
    batch: int | None = param(None, help="Sequences at once in a group; none = all that fit", unit="sequences", ge=1)


class PlanServing:
    """`ask` fills it."""

    def __init__(self, pump: Pump) -> None:
        self._asked: tuple[str, Architecture, Device, int] | None = None
        self.ways: list[serving.Served] = []
        self.form = Form(Texts, on_change=lambda _: self._asked and self.ask(*self._asked), do=pump.do)
        self.told, self.command = ipywidgets.HTML(), ipywidgets.HTML()
        self.table = TableView("ways of serving", height=360)
        self.view = ipywidgets.VBox([self.form.view, self.command, self.told, self.table.view])

    def ask(self, source: str, model: Architecture, device: Device, number: int) -> None:
        """Plan serving a model with so many devices."""
        self._asked = source, model, device, number
        try:
            given = build(Texts, self.form.value)
            context = given.context or min(model.context, 4096)
            self.ways = serving.plan(model, device, number, context=context, prompt=context // 2, batch=given.batch)
        except InvalidInput as error:
            _words.say(self.command, _words.problem(str(error)))
            _words.show(self.table.view, False)
            _words.show(self.told, False)
            return
        words = ["workbench", "plan", source, "--serve", "--devices", str(number), "--device", device.name]
        words += [
            word
            for name, value in (("--length", given.context), ("--batch", given.batch))
            if value
            for word in (name, str(value))
        ]
        _words.say(self.command, f"<p>The same as a command: <code>{html.escape(shlex.join(words))}</code></p>")
        _words.say(self.told, f'<p class="wb-headline">{html.escape(in_words(self.ways))}</p>')
        for part in (self.table.view, self.told):
            _words.show(part, True)
        self.table.show(served_rows(self.ways), SERVED, key="id")


def in_words(ways: list[serving.Served]) -> str:
    """Return the first way, or why none fits."""
    first = ways[0]
    fit = sum(way.fits for way in ways)
    if not fit:
        return f"None of {len(ways)} ways fits; the nearest ({first.precision} on {first.tensor}) lacks room: {first.limit}."
    token = f"{first.seconds_per_token * 1e3:.3g} ms a token, {first.tokens_per_second:,.0f} tokens/s with {first.batch:,} at once in each group"
    return f"{fit} of {len(ways)} ways fit. The first: {first.precision} weights over {first.tensor} devices, {token}; limited by {first.limit}."
