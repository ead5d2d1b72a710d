"""The controls that a parameter can have: each shows one value, and tells what a person chose instead.

A control holds one or more ipywidgets that lie in a row of `form.Form`. What it shows may be illegal: that is for the
library to say.
"""

from __future__ import annotations

import contextlib
import html
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ipywidgets

from workbench.params import ParamSpec

Emit = Callable[[Any], None]
Do = Callable[..., None]  # (function, *args, key=…): where handlers leave word, such as `Pump.do`

TOGGLES, TOGGLE_LETTERS = 3, 26  # so many short choices stand side by side


class Control:
    """One parameter's widgets; `emit(value)` is told what a person chose, never what `show` set.

    `emit` is looked up when it is called, so that a control around this one can put itself in between.
    """

    def __init__(self, spec: ParamSpec, emit: Emit, do: Do, words: Sequence[str] = ()) -> None:
        self.spec, self.emit, self.words = spec, emit, tuple(words)
        self._do = do
        self._setting: int | None = None  # thread that sets widgets now: the echo is nobody's choice
        self.widgets: tuple[ipywidgets.Widget, ...] = ()

    def show(self, value: Any) -> None:
        raise NotImplementedError

    def suggest(self, words: Sequence[str]) -> None:
        """Take over other suggested words."""
        self.words = tuple(words)

    def disable(self, disabled: bool) -> None:
        for widget in self.widgets:
            widget.disabled = disabled

    def listen(self, widget: ipywidgets.Widget, chosen: Callable[[Any], None]) -> None:
        def handler(change: Any) -> None:
            if self._setting != threading.get_ident():
                self._do(chosen, change["new"], key=widget)

        widget.observe(handler, "value")

    @contextlib.contextmanager
    def quietly(self) -> Iterator[None]:
        before, self._setting = self._setting, threading.get_ident()
        try:
            yield
        finally:
            self._setting = before

    def labelled(self, **more: Any) -> dict[str, Any]:
        """Return the traits that give a widget its label and tooltip."""
        return {
            "description": label(self.spec), "description_allow_html": True, "tooltip": self.spec.help,
            "style": {"description_width": "initial"}, "layout": {"width": "auto"}, **more,
        }  # fmt: skip


class Flag(Control):
    def __init__(self, spec: ParamSpec, emit: Emit, do: Do, words: Sequence[str] = ()) -> None:
        super().__init__(spec, emit, do, words)
        text = {"description": in_words(spec.name), "description_allow_html": False}
        self.box = ipywidgets.Checkbox(**self.labelled(value=bool(spec.default), indent=False, **text))
        self.listen(self.box, lambda ticked: self.emit(ticked))
        self.widgets = (self.box,)

    def show(self, value: Any) -> None:
        if isinstance(value, bool):
            with self.quietly():
                self.box.value = value


class Choice(Control):
    """A dropdown; two or three short choices lie side by side."""

    def __init__(self, spec: ParamSpec, emit: Emit, do: Do, words: Sequence[str] = ()) -> None:
        super().__init__(spec, emit, do, words)
        names = [str(choice) for choice in spec.choices]
        short = len(names) <= TOGGLES and sum(map(len, names)) <= TOGGLE_LETTERS
        kind = ipywidgets.ToggleButtons if short else ipywidgets.Dropdown
        options = [(name.replace("_", " "), choice) for name, choice in zip(names, spec.choices)]
        self.menu = kind(options=options, **self.labelled(value=start(spec)))
        if short:
            self.menu.tooltips = [f"{spec.name}: {name}" for name in names]
            self.menu.style.button_width = "auto"
        self.listen(self.menu, lambda choice: self.emit(choice))
        self.widgets = (self.menu,)

    def show(self, value: Any) -> None:
        if value in self.spec.choices:
            with self.quietly():
                self.menu.value = value


class OrNone(Control):
    """Another control with a box that says `none` instead, where None is a legal value."""

    def __init__(self, inner: Control) -> None:
        super().__init__(inner.spec, inner.emit, inner._do, inner.words)
        self.inner, inner.emit = inner, self._changed
        self.last = start(inner.spec)
        self.box = ipywidgets.Checkbox(
            description="none", indent=False, tooltip=inner.spec.help, layout={"width": "auto"}
        ).add_class("wb-none")
        self.listen(self.box, self._ticked)
        self.widgets = (*inner.widgets, self.box)

    def show(self, value: Any) -> None:
        with self.quietly():
            self.box.value = value is None
        if value is not None:
            self.last = value
            self.inner.show(value)
        self.inner.disable(value is None)

    def suggest(self, words: Sequence[str]) -> None:
        self.inner.suggest(words)

    def _ticked(self, is_none: bool) -> None:
        self.inner.disable(is_none)
        self.emit(None if is_none else self.last)

    def _changed(self, value: Any) -> None:
        self.last = value
        self.emit(value)


def start(spec: ParamSpec) -> Any:
    """Return the default, or a value to begin with where that is None: the middle between the bounds."""
    if spec.default is not None:
        return spec.default
    if spec.kind == "choice":
        return spec.choices[0]
    if spec.kind not in ("int", "float"):
        return "" if spec.kind == "str" else None
    low, high = ends(spec)
    if low is None or high is None:
        value = next((end for end in (low, high) if end is not None), 0)
    else:
        value = math.sqrt(low * high) if low > 0 else (low + high) / 2
    return round(value) if spec.kind == "int" else float(value)


def label(spec: ParamSpec) -> str:
    """Return name, unit and bounds as HTML, as in `hidden, units` over `1 ≤ … ≤ 4096`."""
    words = in_words(spec.name)
    unit = f", {spec.unit}" if spec.unit and spec.unit not in words.split() else ""
    bounds = f'<span class="wb-bounds">{html.escape(spec.bounds.replace(spec.name, "…"))}</span>' if spec.bounds else ""
    return f"<span>{html.escape(words + unit)}</span> {bounds}"


def in_words(name: str) -> str:
    return name.replace("_", " ")


def ends(spec: ParamSpec) -> tuple[Any, Any]:
    """Return both bounds, exclusive ones like inclusive ones; None where there is none."""
    return (spec.ge if spec.ge is not None else spec.gt), (spec.le if spec.le is not None else spec.lt)
