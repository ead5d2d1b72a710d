"""Any part's parameters as controls, with each message beside the control that caused it. It knows no panel.

`CONTROLS` is the only map from types to controls: a new part needs no edit here.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets

from widgets import _controls, _text
from widgets._controls import Control, Do, in_words
from widgets._number import Number
from widgets._part_control import PartControl
from workbench.errors import InvalidInput
from workbench.params import Params, ParamSpec, build, describe
from workbench.part import Part

CONTROLS: dict[str, type[Control]] = {
    "bool": _controls.Flag, "int": Number, "float": Number, "str": _text.Text,
    "choice": _controls.Choice, "list": _text.Tags, "mapping": _text.Mapping,
}  # fmt: skip
NUM_MAIN = 3  # parameters that are always in sight


def at_once(function: Callable[..., Any], *args: Any, key: Any = None) -> None:
    """Call `function` here and now: what a form does without a pump."""
    function(*args)


class Form:
    """The parameters of one part: `value` is its record, `problems` what is wrong with it, `view` the widget.

    `on_change(record)` is told of every change that a person makes, legal or not. `words` are suggestions by parameter.
    """

    def __init__(
        self,
        part: type[Params],
        values: Mapping[str, Any] | None = None,
        *,
        on_change: Callable[[dict[str, Any]], None],
        words: Mapping[str, Sequence[str]] | None = None,
        do: Do = at_once,
    ) -> None:
        self.part, self._on_change, self._words, self._do = part, on_change, dict(words or {}), do
        self._specs = {spec.name: spec for spec in describe(part)}
        self._values = self._filled(values or {})
        self._told: list[str] = []
        self._rows = {name: ipywidgets.VBox() for name in self._specs}
        for name, row in self._rows.items():
            row.add_class("wb-row").add_class(f"wb-param-{name}")
        self._controls: dict[str, Control] = {}
        self._messages = {name: _message() for name in ["", *self._specs]}
        self._more = ipywidgets.ToggleButton(icon="sliders", layout={"width": "auto"}).add_class("wb-more")
        self._more.observe(lambda _change: self._do(self._renew, key=self._more), "value")
        self.view = ipywidgets.VBox([*self._rows.values(), self._messages[""], self._more])
        self.view.add_class("wb-form")
        self._renew()

    @property
    def value(self) -> dict[str, Any]:
        """Return the values as a record, `use` included when a part is described; empty required ones are left out."""
        use = {"use": self.part.name()} if issubclass(self.part, Part) else {}
        return use | {name: value for name, value in self._values.items() if not self._is_empty(name, value)}

    @property
    def problems(self) -> list[str]:
        """Return what the library says of the values, nested parts included; empty means legal."""
        nested = [
            f"{name}.{problem}"
            for name, control in self._controls.items()
            if isinstance(control, PartControl) and control.form
            for problem in control.form.problems
        ]
        return self._own_problems() + nested

    def set(self, values: Mapping[str, Any]) -> None:
        """Show other values without telling `on_change`."""
        before, self._values = self._values, self._filled(values)
        for name, control in self._controls.items():
            if self._values[name] != before.get(name):
                control.show(self._values[name])
        self._renew()

    def suggest(self, name: str, words: Sequence[str]) -> None:
        """Offer other words for a parameter, such as the layers of another model."""
        if tuple(self._words.get(name, ())) != tuple(words):
            self._words[name] = words
            if name in self._controls:
                self._controls[name].suggest(words)

    def tell(self, reasons: Sequence[str]) -> list[str]:
        """Show reasons from elsewhere beside the parameter that they begin with; returns those that begin with none."""
        self._told = [reason for reason in reasons if _about(reason) in self._specs]
        self._renew()
        return [reason for reason in reasons if reason not in self._told]

    def _filled(self, values: Mapping[str, Any]) -> dict[str, Any]:
        current = {self.part.renamed.get(name, name): value for name, value in values.items() if name != "use"}
        return {name: spec.default for name, spec in self._specs.items()} | current

    def _is_empty(self, name: str, value: Any) -> bool:
        return name in self._specs and self._specs[name].required and value in (None, "")

    def _chosen(self, name: str, value: Any) -> None:
        if value == self._values[name] and type(value) is type(self._values[name]):
            return
        self._values[name] = value
        self._renew()
        self._on_change(self.value)

    def _own_problems(self) -> list[str]:
        try:
            build(self.part, {name: value for name, value in self.value.items() if name != "use"})
        except InvalidInput as error:
            return list(error.problems)
        return []

    def _renew(self) -> None:
        """Bring messages up to date, and which rows are in sight: a changed value or a message is never hidden."""
        problems = [*self._own_problems(), *self._told]
        told = {name: [each for each in problems if _about(each) == name] for name in self._specs}
        told[""] = [each for each in problems if _about(each) not in self._specs]
        hidden = [name for name in self._specs if not (self._is_in_sight(name) or told[name])]
        for name, message in self._messages.items():
            text = "".join(f"<div>{html.escape(each)}</div>" for each in dict.fromkeys(told[name]))
            message.value = f'<div class="wb-problem" role="alert">{text}</div>' if text else ""
            message.layout.display = None if text else "none"
        for name, row in self._rows.items():
            shown = self._more.value or name not in hidden
            if shown and name not in self._controls:
                self._build(name)
            row.layout.display = None if shown else "none"
        self._more.description = "fewer settings" if self._more.value else f"{len(hidden)} more settings"
        self._more.tooltip = ", ".join(in_words(name) for name in hidden)
        self._more.layout.display = None if hidden else "none"

    def _is_in_sight(self, name: str) -> bool:
        spec = self._specs[name]
        is_main = list(self._specs).index(name) < NUM_MAIN
        return is_main or spec.required or self._values[name] != spec.default

    def _build(self, name: str) -> None:
        """Make a row's widgets, the first time it comes in sight."""
        control = control_for(
            self._specs[name], lambda value: self._chosen(name, value), self._do, self._words.get(name, ())
        )
        control.show(self._values[name])
        self._controls[name] = control
        self._rows[name].children = [*control.widgets, self._messages[name]]


def control_for(spec: ParamSpec, emit: _controls.Emit, do: Do = at_once, words: Sequence[str] = ()) -> Control:
    """Return the control of a parameter, chosen by its kind alone."""
    if spec.kind == "part":
        return PartControl(spec, emit, do, words, form=Form)
    is_blank = spec.required and spec.kind in ("int", "float", "bool", "choice", "list")
    control = (_text.Text if is_blank else CONTROLS[spec.kind])(spec, emit, do, words)
    return _controls.OrNone(control) if spec.optional else control


def pick_one(family: str, emit: _controls.Emit, do: Do, *, name: str, help: str, optional: bool = False) -> PartControl:
    """Return the control that picks one part of a family outside any form, or with `optional` none of them."""
    spec = ParamSpec(name=name, kind="part", default=None, help=help, part=family, optional=optional)
    return PartControl(spec, emit, do, form=Form, runs=False)


def blank_record(part: type[Part]) -> dict[str, Any]:
    """Return a part's defaults as a record; what is required is left out, for a person to fill in."""
    return {"use": part.name()} | {spec.name: spec.default for spec in describe(part) if not spec.required}


def _message() -> ipywidgets.HTML:
    return ipywidgets.HTML(layout={"display": "none"}).add_class("wb-message")


def _about(problem: str) -> str:
    """Return the name that a problem begins with, as in `sparsity: …` and `skip.0: …`."""
    found = re.match(r"(\w+)[.:]", problem)
    return found[1] if found else ""
