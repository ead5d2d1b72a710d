"""Which hardware serves a model within a latency, a throughput and a budget; the chosen one's roofline with the model's layers."""

from __future__ import annotations

import html
import shlex
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets import _words
from widgets._plan_words import ANSWERS, answer_rows
from widgets.chart_host import Chart
from widgets.form import Form
from widgets.table_view import TableView
from workbench.charts.device_roofline import device_roofline_data, device_roofline_figure, in_words
from workbench.errors import InvalidInput
from workbench.params import Params, build, param
from workbench.plan import devices, hardware, intensity

if TYPE_CHECKING:
    from widgets.pump import Pump
    from workbench.plan.architecture import Architecture
    from workbench.plan.devices import Device

NO_PEAK = "No figure is known for {precision} on {title}: its roofline is that of {instead}."


class Wanted(Params):
    """What a server has to reach."""

    latency: float | None = param(None, help="Of a generated token, at most", unit="ms", gt=0)
    throughput: float | None = param(None, help="Generated tokens of all requests, at least", unit="tokens/s", gt=0)
    budget: float | None = param(None, help="Cost of 1,000 requests, at most; needs prices", gt=0)
    price: dict[str, float] = param({}, help='Of a device for an hour, as in {"h100": 2.5}')
    prompt: int = param(512, help="Tokens that a request reads", unit="tokens", ge=1)
    generate: int = param(128, help="Tokens that it writes", unit="tokens", ge=1)


class PlanHardware:
    """`ask` fills it; a row chooses the device whose roofline is drawn."""

    def __init__(self, pump: Pump) -> None:
        self._asked: tuple[str, Architecture, Device, int] | None = None
        self.answers: list[hardware.Answer] = []
        self.form = Form(Wanted, on_change=lambda _: self._asked and self.ask(*self._asked), do=pump.do)
        self.told, self.command, self.under = (ipywidgets.HTML() for _ in range(3))
        self.table, self.roofline = TableView("devices", height=420), Chart()
        self.table.on_select(lambda ids: pump.do(self.choose, ids[-1]) if ids else None)
        head = ipywidgets.HTML(_words.head("Roofline of the chosen device"))
        self.found = ipywidgets.VBox([self.told, self.table.view, head, self.under, self.roofline])
        self.view = ipywidgets.VBox([self.form.view, self.command, self.found])

    def ask(self, source: str, model: Architecture, device: Device, number: int) -> None:
        """Ask every device about a model; `device` and `number` are the other questions'."""
        self._asked = source, model, device, number
        try:
            given = build(Wanted, self.form.value)
            for name in given.price:
                devices.find(name)
            asked = hardware.Asked(
                given.prompt, given.generate, given.latency, given.throughput, given.budget, prices=given.price
            )
            self.answers = hardware.choose(model, asked)
        except InvalidInput as error:
            _words.say(self.command, _words.problem(str(error)))
            _words.show(self.found, False)
            return
        _words.show(self.found, True)
        _words.say(self.command, f"<p>The same as a command: <code>{html.escape(self._line(source, given))}</code></p>")
        does = [answer for answer in self.answers if not answer.why_not]
        first = f" The first: {does[0].num_devices} × {does[0].device.title}." if does else ""
        _words.say(
            self.told,
            f'<p class="wb-headline">{len(does)} of {len(self.answers)} devices do it.{html.escape(first)}</p>',
        )
        self.table.show(answer_rows(self.answers), ANSWERS, key="id")
        drawable = next((answer for answer in self.answers if answer.device.flops), None)
        if drawable:
            self.choose(drawable.device.name)

    def choose(self, name: str) -> None:
        """Draw a device's roofline with the model's layers, or say why it has none."""
        answer = next(each for each in self.answers if each.device.name == name)
        assert self._asked is not None
        model, device = self._asked[1], answer.device
        self.table.select([name])
        if not device.flops:
            _words.say(self.under, _words.problem(f"{device.title}: {answer.why_not}"))
            _words.show(self.roofline, False)
            return
        given = build(Wanted, self.form.value)
        precision, batch = (answer.served.precision, answer.served.batch) if answer.served else ("bfloat16", 1)
        flops, note = ceiling(device, precision)
        works = intensity.works(model, precision=precision, batch=batch, prompt=given.prompt)
        title = f"{device.title}, {precision} weights, {batch:,} sequence{'s' * (batch > 1)} at once"
        data = device_roofline_data(works, title=title, flops=flops, bandwidth=device.memory_bandwidth)
        _words.say(self.under, _words.note(in_words(data)) + _words.note(note))
        _words.show(self.roofline, True)
        self.roofline.show(device_roofline_figure(data))

    def _line(self, source: str, given: Wanted) -> str:
        defaults = Wanted()
        words: list[Any] = ["workbench", "hardware", source]
        for name in ("latency", "throughput", "budget", "prompt", "generate"):
            if getattr(given, name) != getattr(defaults, name):
                words += [f"--{name}", f"{getattr(given, name):g}"]
        words += [word for name, value in given.price.items() for word in ("--price", f"{name}={value:g}")]
        return shlex.join(words)


def ceiling(device: Device, precision: str) -> tuple[float, str]:
    """Return the operations per second that weights of a precision are computed at, and what to say of it."""
    own = (
        None if precision == "int4" else device.peak(precision)
    )  # packed weights are widened, then computed in 16 bits
    if own:
        return own, ""
    for instead in ("bfloat16", "float32"):
        if found := device.peak(instead):
            return found, NO_PEAK.format(
                precision=precision, title=device.title, instead=instead
            ) if precision != "int4" else ""
    return next(iter(device.flops.values())), ""
