"""The control for a number: a field that takes any exact value, and a slider between the bounds.

The field accepts what lies outside them, and a slider's end may equal an exclusive bound: the library says so in words.
A browser sends a slider's value back rounded to its grid, which would change a job that nobody touched. So the slider
counts whole positions, and the field alone holds the value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets

from widgets._controls import Control, Do, Emit, ends, start
from workbench.params import ParamSpec

WIDE = 1000  # a scale over a wider range than this is logarithmic
PER_DECADE = 40  # positions of a logarithmic scale


class Number(Control):
    """A field that takes any exact number, and beside it a slider where there are two bounds."""

    def __init__(self, spec: ParamSpec, emit: Emit, do: Do, words: Sequence[str] = ()) -> None:
        super().__init__(spec, emit, do, words)
        kind = ipywidgets.IntText if spec.kind == "int" else ipywidgets.FloatText
        self.field = kind(**self.labelled(value=start(spec), continuous_update=False))
        self.listen(self.field, self._typed)
        self.scale, self.slider, self.widgets = scale_of(spec), None, (self.field,)
        if self.scale is not None:
            self.slider = ipywidgets.IntSlider(
                min=0, max=self.scale.num_steps, value=self.scale.position(start(spec)), readout=False,
                tooltip=spec.help, layout={"width": "auto", "min_width": "4em"},
            )  # fmt: skip
            self.listen(self.slider, self._slid)
            self.widgets = (self.slider, self.field)

    def show(self, value: Any) -> None:
        if not isinstance(value, int | float) or (self.spec.kind == "int" and value != int(value)):
            return  # the message beside it quotes what no number field can hold
        with self.quietly():
            self.field.value = value
            self._move_slider(value)

    def _typed(self, value: Any) -> None:
        with self.quietly():
            self._move_slider(value)
        self.emit(value)

    def _slid(self, position: int) -> None:
        value = self.scale.value(position)
        with self.quietly():
            self.field.value = value
        self.emit(value)

    def _move_slider(self, value: float) -> None:
        if self.slider is not None:
            self.slider.value = self.scale.position(value)


@dataclass(frozen=True)
class Scale:
    """Positions 0 to `num_steps` of a slider, and the values that they stand for."""

    low: float
    high: float
    num_steps: int
    is_log: bool
    is_whole: bool

    def value(self, position: int) -> Any:
        """Return the value at a position: two digits on a logarithmic scale, and both bounds exactly."""
        share = position / self.num_steps
        if share in (0, 1):
            value = self.high if share else self.low
        elif self.is_log:
            value = float(f"{self.low * (self.high / self.low) ** share:.2g}")
        else:
            value = round(self.low + (self.high - self.low) * share, 10)
        return round(value) if self.is_whole else float(value)

    def position(self, value: float) -> int:
        """Return the position nearest to a value, which may lie outside."""
        within = min(max(value, self.low), self.high)
        if self.is_log:
            return round(self.num_steps * math.log(within / self.low) / math.log(self.high / self.low))
        return round(self.num_steps * (within - self.low) / (self.high - self.low))


def scale_of(spec: ParamSpec) -> Scale | None:
    """Return the scale between the bounds; None when there aren't two, or so many whole numbers that none can be hit."""
    low, high = ends(spec)
    if low is None or high is None or low == high:
        return None
    is_whole = spec.kind == "int"
    if spec.name == "learning_rate" or (low > 0 and high / low > WIDE):
        low = low or high * 1e-7
        return Scale(low, high, round(PER_DECADE * math.log10(high / low)), True, is_whole)
    if is_whole:
        return Scale(low, high, high - low, False, True) if high - low <= WIDE else None
    step = 10.0 ** math.floor(math.log10((high - low) / 50))
    return Scale(low, high, round((high - low) / step), False, False)
