"""How a forest plot is drawn: a marker with its interval per row, the verdict in words at the right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench import wording
from workbench.charts import _style

if TYPE_CHECKING:
    from workbench.charts.comparison import ComparisonData, Effect, Side

# Shape as well as colour; neutral is hollow.
LOOKS: Mapping[Side, tuple[str, str]] = {
    "better": ("triangle-up", _style.BETTER), "worse": ("triangle-down", _style.WORSE), "neutral": ("circle-open", "#5c6670"),
}  # fmt: skip


def traces(effects: Sequence[Effect], data: ComparisonData, number: str, named: set[str]) -> list[dict[str, Any]]:
    """Return one trace for each side that has effects; `named` are those that the legend has already."""
    import numpy as np

    found: list[dict[str, Any]] = []
    for side, (shape, colour) in LOOKS.items():
        mine = [(row, effect) for row, effect in enumerate(effects) if effect.side == side]
        if not mine:
            continue
        name = "cannot be told apart, equal, or no interval" if side == "neutral" else f"B is {side}"
        values = np.array([effect.value for _, effect in mine])
        ends = np.array([(effect.lo, effect.hi) for _, effect in mine], float)  # None becomes NaN: no whisker
        bars = {"type": "data", "symmetric": False, "array": ends[:, 1] - values, "arrayminus": values - ends[:, 0]}
        found.append(
            {"type": "scatter", "x": values, "y": [row for row, _ in mine], "mode": "markers", "name": name,
             "legendgroup": side, "showlegend": name not in named, "xaxis": f"x{number}", "yaxis": f"y{number}",
             "error_x": {**bars, "color": colour, "thickness": 2, "width": 5},
             "marker": {"symbol": shape, "color": colour, "size": 12, "line": {"width": 2, "color": colour}},
             "customdata": [effect.name for _, effect in mine], "hoverinfo": "text",
             "hovertext": [_hover(effect, data) for _, effect in mine]}
        )  # fmt: skip
    return found


def lay_out(layout: dict[str, Any], number: str, kind: str, effects: Sequence[Effect], data: ComparisonData) -> None:
    """Add axes, the line of no change and the verdicts of one panel."""
    same = 1.0 if kind == "ratio" else 0.0
    ends = [end for effect in effects for end in (effect.value, effect.lo, effect.hi) if end is not None] + [same]
    log = kind == "ratio" and max(ends) > 3 * min(ends)
    title = "B / A (ratio; 1 = no change)" if kind == "ratio" else "B − A (points; 0 = no change)"
    layout[f"xaxis{number}"] = {
        "title": {"text": title, "standoff": 4}, "type": "log" if log else "linear", "tickformat": "~g", "nticks": 7,
        **({"dtick": "D2"} if log else {}), "range": _range(ends, log), "domain": [0, 0.76],
    }  # fmt: skip
    layout[f"yaxis{number}"] = {
        "tickvals": list(range(len(effects))), "ticktext": [_style.wrapped(effect.label, 24) for effect in effects],
        "range": [len(effects) - 0.3, -0.7], "ticks": "", "tickfont": {"size": 11}, "fixedrange": True,
    }  # fmt: skip
    line = {"color": _style.INK, "width": 1.5, "dash": "dot"}
    layout["shapes"].append({"type": "line", "x0": same, "x1": same, "y0": 0, "y1": 1, "xref": f"x{number}",
                             "yref": f"y{number} domain", "line": line, "layer": "below"})  # fmt: skip
    for row, effect in enumerate(effects):
        layout["annotations"].append(
            {"text": f"<b>{amount(effect)}</b><br>{effect.verdict}", "x": 0.77, "xref": "paper", "xanchor": "left", "y": row,
             "yref": f"y{number}", "showarrow": False, "align": "left", "font": {"size": 11, "color": LOOKS[effect.side][1]}}
        )  # fmt: skip


def _range(ends: Sequence[float], log: bool) -> list[float]:
    low, high = (math.log10(min(ends)), math.log10(max(ends))) if log else (min(ends), max(ends))
    room = 0.08 * (high - low) or 0.1
    return [low - room, high + room]


def amount(effect: Effect) -> str:
    """Return the size of an effect: points with their sign, or a factor."""
    if effect.kind == "difference":
        return f"{effect.value:+.2f}".replace("-", wording.MINUS)
    return f"{effect.value:.3g} ×"


def _hover(effect: Effect, data: ComparisonData) -> str:
    within = "" if effect.lo is None or effect.hi is None else f" [{effect.lo:.3g}, {effect.hi:.3g}]"
    unit = " points" if effect.kind == "difference" else ""
    values = f"<br>A {effect.a}, B {effect.b}" if effect.a else ""
    return (
        f"<b>{effect.label}</b>: {effect.verdict}<br>{amount(effect)}{unit}{within}{values}<br>{effect.note}<br>"
        f"A: {data.label_a} ({data.a})<br>B: {data.label_b} ({data.b})"
    )
