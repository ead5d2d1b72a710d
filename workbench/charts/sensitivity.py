"""How much each layer minds a change: layers over strengths, as measured on the validation split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench import wording
from workbench.charts import _style
from workbench.errors import InvalidInput
from workbench.nouns import Measurement, Run

if TYPE_CHECKING:
    import plotly.graph_objects as go

NAMES = {"sensitivity_drop": "drop", "sensitivity_kl": "change of the answers"}
MOST_TEXT = 400  # cells: with more, figures can't be read and stand in the hover text only


@dataclass(frozen=True)
class Column:
    """One strength of one step, as in `magnitude_prune sparsity 0.5`."""

    step: str
    parameter: str
    level: Any  # None for a step that has no strength

    @property
    def label(self) -> str:
        if self.level is None:
            return self.step.replace("_", " ")
        level = f"{self.level:g}" if isinstance(self.level, int | float) else str(self.level)
        return f"{self.step.replace('_', ' ')}: {self.parameter.replace('_', ' ')} {level}"


@dataclass(frozen=True)
class Cell:
    """What was lost when only this layer was changed; positive is worse. Ends are None without an interval."""

    layer: str
    column: Column
    drop: float
    lo: float | None
    hi: float | None
    n: int | None
    over_budget: bool


@dataclass(frozen=True)
class SensitivityData:
    """Layers in model order, columns by step and then by level; a cell that wasn't measured is absent."""

    run_id: str
    label: str
    what: str  # drop, or change of the answers
    unit: str  # points, % of perplexity, nats
    layers: tuple[str, ...]
    columns: tuple[Column, ...]
    cells: tuple[Cell, ...]
    budget: float | None  # None = no outline

    @property
    def worst(self) -> list[Cell]:
        """The cells from the largest drop on."""
        return sorted(self.cells, key=lambda cell: -cell.drop)


def sensitivity_data(
    run: Run, *, name: str = "sensitivity_drop", budget: float | None = None, layers: Sequence[str] = ()
) -> SensitivityData:
    """Return the drops (or, with `name` sensitivity_kl, the KL) that `run` measured layer by layer on validation.

    `layers` gives the order of the model (empty = as measured); `budget` is the largest drop that is fine, in the unit of
    the measurements. Raises InvalidInput when nothing was measured.
    """
    found = [
        each for each in run.measurements if each.name == name and each.conditions.get("split") in (None, "validation")
    ]
    if not found:
        raise InvalidInput(
            [f"{run.run_id} measured no {name.replace('_', ' ')}"], next_move="run it with metric sensitivity"
        )
    there = dict.fromkeys(str(each.conditions["layer"]) for each in found)
    order = [*(name for name in layers if name in there), *(name for name in there if name not in set(layers))]
    cells = tuple(_cell(each, budget) for each in found)
    steps = list(dict.fromkeys((cell.column.step, cell.column.parameter) for cell in cells))
    columns = sorted(
        dict.fromkeys(cell.column for cell in cells),
        key=lambda c: (steps.index((c.step, c.parameter)), _by_size(c.level)),
    )
    return SensitivityData(
        run.run_id, _style.run_label(run), NAMES[name], found[0].unit, tuple(order), tuple(columns), cells, budget
    )  # fmt: skip


def sensitivity_figure(data: SensitivityData) -> go.Figure:
    """Draw the heat map: blue gains, white nothing, orange losses, a frame where the drop is above the budget.

    The customdata of a cell is {"layer": …, "level": …, "step": …, "parameter": …}.
    """
    import plotly.graph_objects as go

    largest = max([abs(cell.drop) for cell in data.cells] + [1e-6])
    spacing = {"xgap": 2, "ygap": 2, "zmin": -largest, "zmax": largest, "hoverongaps": False}
    bar = {
        "title": {"text": f"{_style.wrapped(data.what, 12)}<br>({data.unit})", "font": {"size": 11}},
        "thickness": 12,
        "outlinewidth": 0,
    }
    figure = go.Figure(
        go.Heatmap(
            **_grids(data), **spacing, x=[_style.wrapped(column.label, 14) for column in data.columns], y=data.layers,
            texttemplate="%{text}" if len(data.cells) <= MOST_TEXT else None, hoverinfo="text", colorbar=bar,
            colorscale=[[0, _style.BETTER], [0.5, "#ffffff"], [1, _style.WORSE]],
        )
    )  # fmt: skip
    category = {"type": "category", "showgrid": False, "ticks": ""}
    return _style.finish(
        figure, alt=_in_words(data), height=150 + 26 * len(data.layers), margin={"b": 60, "t": 30}, shapes=_frames(data),
        xaxis={"title": {"text": "what was done to this layer alone (strength)"}, "tickangle": 0, **category},
        yaxis={"title": {"text": "layer, in model order"}, "autorange": "reversed", **category},
        annotations=_budget_note(data),
    )  # fmt: skip


def _cell(measured: Measurement, budget: float | None) -> Cell:
    how = measured.conditions
    column = Column(str(how.get("step", "")), str(how.get("parameter", "")), how["level"])
    over = budget is not None and measured.value > budget
    return Cell(str(how["layer"]), column, measured.value, measured.lo, measured.hi, measured.n, over)


def _by_size(level: Any) -> tuple[float, str]:
    return (float(level), "") if isinstance(level, int | float) else (0.0, str(level))


def _grids(data: SensitivityData) -> dict[str, Any]:
    """Return values, texts and customdata as (layers, columns); cells that weren't measured stay empty."""
    import numpy as np

    shape = (len(data.layers), len(data.columns))
    drops, texts = np.full(shape, np.nan), np.full(shape, "", object)
    hover, custom = np.full(shape, "not measured", object), np.full(shape, None, object)
    rows = {name: index for index, name in enumerate(data.layers)}
    places = {column: index for index, column in enumerate(data.columns)}
    for cell in data.cells:
        at = rows[cell.layer], places[cell.column]
        drops[at], texts[at], hover[at] = cell.drop, _cell_text(cell.drop, data.unit), _hover(cell, data)
        custom[at] = {"layer": cell.layer, "level": cell.column.level, "step": cell.column.step,
                      "parameter": cell.column.parameter}  # fmt: skip
    return {"z": drops, "text": texts, "hovertext": hover, "customdata": custom}


def _cell_text(value: float, unit: str) -> str:
    text = f"{value:.2g}" if unit == "nats" else f"{value:.1f}"
    return text.replace("-0.0", "0.0").replace("-", wording.MINUS)


def _hover(cell: Cell, data: SensitivityData) -> str:
    within = "" if cell.lo is None or cell.hi is None else f" [{cell.lo:.3g}, {cell.hi:.3g}]"
    count = f", n = {cell.n:,}" if cell.n else ""
    over = f"<br>above the budget of {data.budget:g} {data.unit}" if cell.over_budget else ""
    return f"<b>{cell.layer}</b><br>{cell.column.label}<br>{data.what} {cell.drop:.3g}{within} {data.unit}{count}{over}<br>{data.run_id}"


def _frames(data: SensitivityData) -> list[dict[str, Any]]:
    """Return a frame around each cell above the budget; categories stand at whole numbers."""
    found = []
    for cell in data.cells:
        if cell.over_budget:
            x, y = data.columns.index(cell.column), data.layers.index(cell.layer)
            line = {"color": _style.INK, "width": 2}
            found.append({"type": "rect", "x0": x - 0.48, "x1": x + 0.48, "y0": y - 0.47, "y1": y + 0.47, "line": line})
    return found


def _budget_note(data: SensitivityData) -> list[dict[str, Any]]:
    if data.budget is None:
        return []
    text = f"framed: {data.what} above {data.budget:g} {data.unit}"
    return [{"text": text, "x": 0, "y": 1, "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom",
             "showarrow": False, "font": {"size": 11}}]  # fmt: skip


def _in_words(data: SensitivityData) -> str:
    worst = "; ".join(
        f"{cell.layer}, {cell.column.label}: {cell.drop:.3g} {data.unit}" for cell in data.worst[:5]
    )  # fmt: skip
    over = sum(cell.over_budget for cell in data.cells)
    budget = (
        "" if data.budget is None else f" {over} of {len(data.cells)} above the budget of {data.budget:g} {data.unit}."
    )
    return (
        f"Sensitivity of {data.label} on validation: {len(data.layers)} layers, {len(data.columns)} strengths. "
        f"Worst: {worst}.{budget}"
    )
