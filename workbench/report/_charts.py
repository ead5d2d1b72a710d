"""The figures of a report as HTML: drawn by script in the page, told in words for those who can't see or run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from workbench import catalog
from workbench.charts import _style
from workbench.charts.flips import Flip, FlipsData, flips_data, flips_figure
from workbench.charts.generation import generation_data, generation_figure
from workbench.charts.pareto import ParetoData, pareto_data, pareto_figure
from workbench.charts.waterfall import waterfall_data, waterfall_figure
from workbench.errors import WorkbenchError
from workbench.nouns import Run
from workbench.report._groups import Group, quality

if TYPE_CHECKING:
    import numpy as np
    import plotly.graph_objects as go

SPEEDS = {"ratio": "latency_ratio_to_reference", "ms": "latency_ms_p50"}
SPLITS = ("validation", "test")
MOST_FLIPS = 12
GREEDY = "Each point is the middle of a quarter of the texts, written greedily; bars are 95 % intervals."
NOT_DRAWN = "<noscript><p>The chart needs JavaScript; its figures stand in the table of runs.</p></noscript>"

Variant = tuple[Mapping[str, str], "go.Figure", str]  # which picks show it, the figure, its caption (HTML)


def trade_offs(groups: Sequence[Group], limits: Mapping[str, float]) -> str:
    """Return the choosers and, per model, size × quality and latency × quality with intervals and front."""
    picks = (
        '<div class="controls"><fieldset><legend>Accuracy on</legend>'
        f"{_radio('split', 'validation', 'validation (what choosing reads)', True)}{_radio('split', 'test', 'test (reported)')}"
        "</fieldset><fieldset><legend>Latency as</legend>"
        f"{_radio('speed', 'ratio', 'ratio to fp32 ONNX, timed alternately', True)}"
        f"{_radio('speed', 'ms', 'ms of each run')}</fieldset><fieldset><legend>Show</legend>"
        f"{_radio('zoom', 'all', 'every run', True)}{_radio('zoom', 'near', 'within 10 points of the best')}</fieldset></div>"
    )
    return picks + "".join(
        f"<h3>{escape(group.name)}</h3><div class='pair'>{_size_chart(group, limits)}{_speed_chart(group, limits)}</div>"
        for group in groups
    )


def generations(groups: Sequence[Group]) -> str:
    """Return how fast the language models among them write; "" where none was measured."""
    wrote = [group for group in groups if any(run.get("tokens_per_second") for run in group.runs)]
    return "".join(
        f"<h3>{escape(group.name)}</h3>{chart([({}, generation_figure(generation_data(group.runs)), GREEDY)])}"
        for group in wrote
    )


def waterfalls(groups: Sequence[Group]) -> str:
    """Return where the bytes of each model's chosen run went; the reason in words where that can't be drawn."""
    return f"<div class='pair'>{''.join(f'<div>{_waterfall(group)}</div>' for group in groups)}</div>"


def _waterfall(group: Group) -> str:
    run = group.chosen or group.baseline
    if run is None:
        return ""
    heading = f"<h3>{escape(group.name)}: {escape(group.short(run))}</h3>"
    try:
        data = waterfall_data(run, group.runs)
    except WorkbenchError as error:
        return f"{heading}<p>{escape(str(error))}</p>"
    caption = f"{escape(data.recipe)} (<code>{escape(run.run_id)}</code>). {escape(data.note)}"
    return heading + chart([({}, waterfall_figure(data), caption)])


def flipped(group: Group) -> str:
    """Return which test answers of the chosen run differ from its parent's: counts, matrix and the worst with pictures."""
    run = group.chosen
    parent = group.parent_of(run) if run else None
    if run is None or parent is None:
        return ""
    heading = f"<h3>{escape(group.name)}: {escape(group.short(run))} against {escape(group.short(parent))}</h3>"
    images, labels, reason = _examples(run)
    try:
        data = flips_data(run, parent, images=images, labels=labels)
    except WorkbenchError as error:
        return f"{heading}<p>{escape(str(error))}</p>"
    counts = ", ".join(f"<b>{count}</b> {escape(outcome)}" for outcome, count in data.counts.items())
    told = f"<p>{len(data.flips)} of {data.num_examples:,} test answers changed: {counts}.{escape(reason)}</p>"
    if not data.flips:
        return heading + told
    matrix = chart([({}, flips_figure(data), "Changed answers only; unchanged ones are left out.")])
    return f"{heading}{told}<div class='pair'>{matrix}<div>{_worst(data)}</div></div>"


def _size_chart(group: Group, limits: Mapping[str, float]) -> str:
    return chart([_trade_off(group, "artifact_bytes", split, limits, {"split": split}) for split in SPLITS])


def _speed_chart(group: Group, limits: Mapping[str, float]) -> str:
    return chart(
        [
            _trade_off(group, axis, split, limits, {"split": split, "speed": speed})
            for split in SPLITS
            for speed, axis in SPEEDS.items()
        ]
    )


def _trade_off(group: Group, axis: str, split: str, limits: Mapping[str, float], picks: Mapping[str, str]) -> Variant:
    measured = next((found for run in group.runs if (found := quality(run, split))), None)
    try:
        data = pareto_data(group.runs, x=axis, y=measured.name if measured else "accuracy", split=split, limits=limits)
    except WorkbenchError as error:
        return picks, _style.nothing(str(error)), ""
    return picks, pareto_figure(data), _front_words(group, data)


def _front_words(group: Group, data: ParetoData) -> str:
    names = {run.run_id: group.short(run) for run in group.runs}
    told = "On the front: " + ", ".join(f"{names[point.run_id]} ({point.format})" for point in data.front) + "."
    if data.missing:
        told += " Not shown: " + "; ".join(f"{names[run_id]} ({why})" for run_id, why in data.missing) + "."
    return escape(told)


def chart(variants: Sequence[Variant]) -> str:
    """Return one place for a figure with its variants; the script shows the one that fits what is picked."""
    scripts = "".join(
        f'<script type="application/json" class="variant"{_data(picks)}>{_as_json(figure)}</script>'
        for picks, figure, _ in variants
    )
    captions = "".join(
        f"<figcaption{_data(picks)}{' hidden' if index else ''}>{caption}</figcaption>"
        for index, (picks, _, caption) in enumerate(variants)
    )
    alt = escape(str(variants[0][1].layout.meta["alt"]))
    return f'<figure class="chart"><div class="plot" role="img" aria-label="{alt}"></div>{NOT_DRAWN}{scripts}{captions}</figure>'


def _data(picks: Mapping[str, str]) -> str:
    return "".join(f' data-{name}="{value}"' for name, value in picks.items())


def _as_json(figure: Any) -> str:
    return figure.to_json().replace("<", "\\u003c")  # nothing in it may close the script element


def _radio(name: str, value: str, label: str, checked: bool = False) -> str:
    on = " checked" if checked else ""
    return f'<label><input type="radio" name="{name}" data-pick="{name}" value="{value}"{on}> {label}</label>'


def _examples(run: Run) -> tuple[np.ndarray | None, Sequence[str], str]:
    """Return the test inputs that can be pictures, the class names, and a note when the data can't be read here."""
    try:
        data = catalog.make("data", run.job.get("data"))
        inputs = data.load().test.inputs  # type: ignore[attr-defined]
        labels = data.card().labels  # type: ignore[attr-defined]
    except WorkbenchError as error:
        return None, (), f" No pictures: {error}"
    return next(iter(inputs.values())), labels, ""


def _worst(data: FlipsData) -> str:
    shown = data.flips[:MOST_FLIPS]
    rest = f" {len(shown)} of {len(data.flips)} are shown." if len(shown) < len(data.flips) else ""
    items = "".join(f"<li>{_flip(flip)}</li>" for flip in shown)
    return f'<p class="soft">Worst first. Bars: probability of the right class, before and after.{rest}</p><ul class="flips">{items}</ul>'


def _flip(flip: Flip) -> str:
    what = f"test example {flip.index}, a {flip.target}"
    picture = f'<img src="{flip.image}" alt="{escape(what)}">' if flip.image else ""
    bars = "".join(
        f'<span class="bar" aria-hidden="true"><i{kind} style="width:{share:.0%}"></i></span>'
        for kind, share in (("", flip.target_before), (' class="new"', flip.target_after))
    )
    return (
        f"{picture}<b>{escape(flip.outcome)}</b><br>{escape(flip.before)} ({flip.answer_before:.0%})<br>"
        f"→ {escape(flip.after)} ({flip.answer_after:.0%})<small>{escape(what)}. Right class: {flip.target_before:.0%} → "
        f"{flip.target_after:.0%}</small>{bars}"
    )
