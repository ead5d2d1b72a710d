"""Where the bytes of an artifact went, from as trained to the file that is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench import table, wording
from workbench.charts import _style
from workbench.errors import InvalidInput
from workbench.nouns import Run

if TYPE_CHECKING:
    import plotly.graph_objects as go

NEEDED = ("artifact_bytes", "dense_bytes", "num_params", "nonzero_params")
TOO_SMALL = 0.005  # of the artifact before: less than that of graph and headers is counted with the parameters
SAME = ("model", "data", "format", "seed")


@dataclass(frozen=True)
class Bar:
    """One bar: a total (bytes of a measured artifact) or a change between two of them."""

    label: str
    size_bytes: float  # of a change: after − before
    is_total: bool
    run_id: str  # the run whose files were measured
    note: str = ""


@dataclass(frozen=True)
class WaterfallData:
    """Bars in order: the changes add up exactly to the last total."""

    run_id: str
    model: str
    recipe: str
    bars: tuple[Bar, ...]
    note: str = ""  # what the bars can't show


def waterfall_data(run: Run, runs: Sequence[Run]) -> WaterfallData:
    """Split the bytes of `run` over its steps, as far as runs of the same model stop at those steps.

    Between two measured artifacts the change is split into parameters removed, parameters stored in fewer bytes, and
    graph, headers and scales: `Δ(parameters) · old bytes each`, `new parameters · Δ(bytes each)`, and the rest (counted
    with the others when it is tiny).
    Raises InvalidInput when the sizes of `run` weren't measured.
    """
    if not _sizes(run):
        raise InvalidInput([f"{run.run_id} has no measured sizes"], next_move="run it with metric size")
    stages = _stages(run, runs)
    if len(stages) == 1:
        return WaterfallData(run.run_id, *_names(run), _alone(run), "no earlier stage of this recipe was measured")
    bars = [_total(stages[0], table.change_text(stages[0]))]
    for before, after in zip(stages, stages[1:]):
        bars += _changes(before, after)
    return WaterfallData(run.run_id, *_names(run), (*bars, _total(run, "artifact")))


def waterfall_figure(data: WaterfallData) -> go.Figure:
    """Draw totals and changes, each labelled with its bytes."""
    import plotly.graph_objects as go

    figure = go.Figure(
        go.Waterfall(
            x=[f"{index}. {bar.label}" for index, bar in enumerate(data.bars, start=1)],
            y=[bar.size_bytes for bar in data.bars],
            measure=["absolute" if bar.is_total else "relative" for bar in data.bars],
            text=[_bar_text(bar) for bar in data.bars],
            hovertext=[f"{bar.label}: {_bar_text(bar)}<br>{bar.note}<br>{bar.run_id}" for bar in data.bars],
            hoverinfo="text", textposition="outside", cliponaxis=False, connector={"line": {"color": _style.FAINT}},
            increasing={"marker": {"color": _style.WORSE}}, decreasing={"marker": {"color": _style.BETTER}},
            totals={"marker": {"color": "#5c6670"}},
        )
    )  # fmt: skip
    figure.update_xaxes(
        tickmode="array", tickvals=list(range(len(data.bars))), ticktext=[_style.wrapped(bar.label, 13) for bar in data.bars],
        tickangle=0, tickfont_size=11,
    )  # fmt: skip
    figure.update_yaxes(title_text="bytes", tickformat="~s", rangemode="tozero")
    words = "; ".join(f"{bar.label} {_bar_text(bar)}" for bar in data.bars)
    title = f"Where the bytes of {data.model}, {data.recipe} went"
    return _style.finish(
        figure,
        alt=f"{title}: {words}. {data.note}",
        height=360,
        showlegend=False,
        margin_b=90,
    )


def _stages(run: Run, runs: Sequence[Run]) -> list[Run]:
    """Return the measured runs whose steps are a beginning of this run's, shortest first, and the run itself last."""
    steps = list(run.job.get("steps") or ())
    found: dict[int, Run] = {}
    for other in runs:
        theirs = list(other.job.get("steps") or ())
        begins = len(theirs) < len(steps) and theirs == steps[: len(theirs)]
        same = all(other.job.get(key) == run.job.get(key) for key in SAME)
        if other.status == "done" and begins and same and _sizes(other):
            found[len(theirs)] = other
    parent = next((other for other in runs if other.run_id == run.parent and _sizes(other)), None)
    if not found and parent is not None:  # a distilled student begins elsewhere than its parent
        return [parent, run]
    return [*(found[length] for length in sorted(found)), run]


def _sizes(run: Run) -> Mapping[str, float]:
    """Return the sizes by name; empty unless all were measured."""
    found = {name: run.get(name) for name in NEEDED}
    return {} if None in found.values() else {name: each.value for name, each in found.items() if each}


def _names(run: Run) -> tuple[str, str]:
    return table.model_text(run), table.recipe_text(run)


def _total(run: Run, label: str) -> Bar:
    return Bar(label, _sizes(run)["artifact_bytes"], True, run.run_id, table.recipe_text(run))


def _alone(run: Run) -> tuple[Bar, ...]:
    """Return what one artifact is made of, when there is nothing to compare it with."""
    sizes = _sizes(run)
    note = f"{sizes['num_params']:,.0f} parameters at {sizes['dense_bytes'] / sizes['num_params']:.2f} bytes"
    rest = Bar("graph, headers, scales", sizes["artifact_bytes"] - sizes["dense_bytes"], False, run.run_id)
    return Bar("parameters", sizes["dense_bytes"], True, run.run_id, note), rest, _total(run, "artifact")


def _changes(before: Run, after: Run) -> list[Bar]:
    old, new = _sizes(before), _sizes(after)
    words = _added(before, after)
    each_old = old["dense_bytes"] / old["num_params"]
    removed = (new["num_params"] - old["num_params"]) * each_old
    narrower = new["dense_bytes"] - new["num_params"] * each_old
    rest = (new["artifact_bytes"] - new["dense_bytes"]) - (old["artifact_bytes"] - old["dense_bytes"])
    each_new = new["dense_bytes"] / new["num_params"]
    if abs(rest) < TOO_SMALL * old["artifact_bytes"] and round(removed or narrower):
        removed, narrower, rest = (removed + rest, narrower, 0.0) if round(removed) else (removed, narrower + rest, 0.0)
    parts = [
        (
            "fewer parameters" if removed < 0 else "more parameters",
            removed,
            f"{old['num_params']:,.0f} → {new['num_params']:,.0f} parameters",
        ),
        (
            "fewer bytes each" if narrower < 0 else "more bytes each",
            narrower,
            f"{each_old:.2f} → {each_new:.2f} bytes per parameter",
        ),
        ("graph, headers, scales", rest, "what the files hold besides parameters"),
    ]
    bars = [Bar(f"{words}: {name}", size, False, after.run_id, note) for name, size, note in parts if round(size)]
    if not round(removed) and not round(narrower) and new["nonzero_params"] < old["nonzero_params"]:
        zeros = f"{new['nonzero_params'] / new['num_params']:.0%} of the parameters are not zero; zeros are stored too"
        bars.insert(0, Bar(f"{words}: zeros", 0.0, False, after.run_id, zeros))
    return bars or [Bar(f"{words}: no change", 0.0, False, after.run_id)]


def _added(before: Run, after: Run) -> str:
    """Return the words for what `after` has more than `before`, training left out where there is anything else."""
    more = table.change_text(after).removeprefix(table.change_text(before)).removeprefix(" + ")
    return more or "more training"


def _bar_text(bar: Bar) -> str:
    sign = "+" if bar.size_bytes > 0 and not bar.is_total else ""
    return f"{sign}{wording.bytes_text(bar.size_bytes)}"
