"""How every chart looks: one palette, one marker per method, one layout, figures in readable units."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from workbench import table
from workbench.nouns import Measurement, Run

if TYPE_CHECKING:
    import numpy as np
    import plotly.graph_objects as go

# Okabe & Ito 2008 without yellow and black, with indigo and olive of Tol's "muted": told apart by colour-blind readers.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#332288", "#999933")
SHAPES = ("pentagon", "square", "diamond", "triangle-up", "triangle-down", "cross", "x", "star")
INK, FAINT, GRID, WORSE, BETTER = "#222222", "#8a8f98", "#e4e7eb", "#D55E00", "#0072B2"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
SALT = "51167"  # chosen so that today's methods, and each with a precision step behind it, look different
RATIOS = ("latency_ratio_to_parent", "latency_ratio_to_reference")


class Marker(NamedTuple):
    colour: str
    shape: str


class Axis(NamedTuple):
    """A measured quantity as an axis."""

    name: str
    label: str  # with its unit
    lower_is_better: bool
    log: bool  # a log scale is right where values span much
    tick_format: str
    split: str = ""  # which examples, for measures of quality
    unit: str = ""  # as measured: "share" where the label says %


def marker(method: str) -> Marker:
    """Return the look of a method, always the same: colour by its first step, shape by all of them."""
    if method == "as trained":
        return Marker(INK, "circle")
    first = method.split(" + ")[0]
    return Marker(COLOURS[_number(first) % len(COLOURS)], SHAPES[_number(method) // len(COLOURS) % len(SHAPES)])


def axis(measured: Measurement) -> Axis:
    """Return how to draw a quantity: shares in percent, sizes and times on a log scale."""
    split = str(measured.conditions.get("split", ""))
    name, unit = measured.name.replace("_", " "), measured.unit
    log, tick = False, ""
    if unit == "share":
        unit, tick = "%", ".1%"
    elif unit in ("bytes", "parameters"):
        log, tick = True, "~s"
    elif unit in ("ms", "s", "J / example") or measured.name in RATIOS:
        log, tick = True, "~g"
    named = {
        "artifact_bytes": "size of the files needed to predict", "latency_ms_p50": "latency of one call, median",
        "latency_ratio_to_parent": "latency against the parent", "latency_ratio_to_reference": "latency against fp32 ONNX",
        "dense_bytes": "numbers as stored", "zipped_bytes": "files, zipped", "folder_bytes": "whole folder",
        "num_params": "number of parameters", "nonzero_params": "parameters that are not zero",
        "peak_memory_bytes": "peak memory of a fresh process", "energy_joules": "energy of one example",
    }  # fmt: skip
    name = named.get(measured.name, name)
    label = f"{name}{f', {split}' if split else ''} ({unit})"
    return Axis(measured.name, label, measured.better == "lower", log, tick, split, measured.unit)


def measurement(run: Run, name: str, split: str = "") -> Measurement | None:
    """Return a whole-model measurement (none of a single class), of `split` where it depends on the examples."""
    for found in run.measurements:
        if found.name == name and "label" not in found.conditions and found.conditions.get("split", split) == split:
            return found
    return None


def plain(value: Any) -> Any:
    """Return a part of a figure without arrays: what JSON can say."""
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return plain(value.tolist()) if hasattr(value, "tolist") else value


def finish(figure: go.Figure, *, alt: str, height: int = 420, **layout: Any) -> go.Figure:
    """Give a figure the common layout, and `layout` on top; `alt` says in words what it shows (kept in layout.meta.alt).

    One assignment: every update of a finished figure takes ten milliseconds.
    """
    drawn = figure.layout.to_plotly_json()
    lines = {"gridcolor": GRID, "linecolor": FAINT, "zeroline": False, "automargin": True, "ticks": "outside"}
    axes = {"xaxis", "yaxis", *(name for name in drawn if name.startswith(("xaxis", "yaxis")))}
    common = {
        "template": "none", "paper_bgcolor": "white", "plot_bgcolor": "white", "height": height, "meta": {"alt": alt},
        "font": {"family": FONT, "size": 13, "color": INK}, "margin": {"l": 70, "r": 20, "t": 20, "b": 100},
        "title": {"x": 0, "xref": "paper", "xanchor": "left", "font": {"size": 15}},
        "legend": {"orientation": "h", "yref": "container", "yanchor": "bottom", "y": 0, "x": 0, "xanchor": "left"},
        "hoverlabel": {"bgcolor": "white", "font": {"family": FONT, "size": 12, "color": INK}, "align": "left"},
        **{name: {**lines, "tickcolor": FAINT} for name in axes},
    }  # fmt: skip
    figure.layout = _merged(_merged(drawn, common), layout)
    return figure


def finish_stacks(figure: go.Figure, rows: int, *, alt: str, top: int) -> go.Figure:
    """Finish horizontal bars, one of stacked parts per row: the first row on top, `top` pixels for words above it."""
    figure.update_xaxes(rangemode="tozero")
    figure.update_yaxes(autorange="reversed", type="category")
    return finish(
        figure, alt=alt, height=120 + top + 26 * rows, barmode="stack",
        legend={"traceorder": "normal"}, margin={"b": 90, "t": top},
    )  # fmt: skip


def nothing(reason: str) -> go.Figure:
    """Return an empty figure that says why it is empty."""
    import plotly.graph_objects as go

    words = wrapped(f"Nothing to draw: {reason}", 70)
    said = {"text": words, "x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper", "showarrow": False}
    hidden = {"visible": False}
    return finish(
        go.Figure(), alt=f"Nothing to draw: {reason}", height=160, margin={"l": 20, "r": 20, "t": 20, "b": 20},
        annotations=[said], xaxis=hidden, yaxis=hidden,
    )  # fmt: skip


def faint(colour: str, opacity: float) -> str:
    """Return a colour of the palette, seen through."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def hatched(colour: str, shape: str) -> dict[str, Any]:
    """Return the marker of a bar in a colour, with white lines or dots on it where `shape` is one of plotly's patterns."""
    return {
        "color": colour,
        "pattern": {"shape": shape, "bgcolor": colour, "fgcolor": "white", "size": 6, "solidity": 0.25},
    }


def wrapped(text: str, width: int) -> str:
    """Return a text in lines of at most `width` characters, as labels take them."""
    import textwrap

    return "<br>".join(textwrap.wrap(text, width))


def tail(name: str, most: int) -> str:
    """Return a dotted name of at most `most` characters: its end says more than its beginning."""
    return name if len(name) <= most else f"…{name[1 - most :]}"


def run_label(run: Run) -> str:
    """Return the model, what was done to it and the format: the name of a run for people."""
    return f"{table.model_text(run)}: {table.change_text(run)}, {table.format_text(run)}"


def objects(values: Iterable[Any]) -> np.ndarray:
    """Return texts or records as an array: plotly checks a list element by element, which takes ten times as long."""
    import numpy as np

    kept = list(values)
    made = np.empty(len(kept), object)
    made[:] = kept
    return made


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return both, `over` where they disagree, dictionaries inside merged likewise."""
    inner = {
        name: _merged(under[name], value)
        for name, value in over.items()
        if isinstance(value, dict) and isinstance(under.get(name), dict)
    }
    return {**under, **over, **inner}


def uid(*words: Any) -> str:
    """Return a name that keeps a trace apart while others come and go; plotly puts it into CSS selectors as it is."""
    return "t" + re.sub(r"[^0-9A-Za-z]+", "-", " ".join(map(str, words)))


def _number(text: str) -> int:
    return zlib.crc32((SALT + text).encode())
