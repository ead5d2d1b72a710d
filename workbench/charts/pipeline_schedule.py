"""When each process of a pipeline works on which microbatch, and when it has nothing to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.charts import _style
from workbench.extents import Extents
from workbench.timetable import Pass, idle_share, timetable

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_LABELLED = 200  # numbers in more boxes can't be read


@dataclass(frozen=True)
class ScheduleData:
    """Passes in units of one forward pass of a stage."""

    title: str
    num_processes: int
    num_stages: int
    passes: tuple[Pass, ...]
    idle: float  # share of the update


def pipeline_schedule_data(extents: Extents) -> ScheduleData:
    """Return the timetable of a layout's pipeline."""
    title = f"{extents.schedule}, {extents.microbatches} microbatches through {extents.num_stages} stages"
    return ScheduleData(title, extents.pipeline, extents.num_stages, timetable(extents), idle_share(extents))


def pipeline_schedule_figure(data: ScheduleData) -> go.Figure:
    """Draw a box per pass, numbered by its microbatch; later stages of a process are darker."""
    import plotly.graph_objects as go

    figure = go.Figure()
    is_labelled = len(data.passes) <= MOST_LABELLED
    for kind, colour, words in (("forward", _style.COLOURS[0], "forward"), ("backward", _style.COLOURS[1], "backward")):
        boxes = [each for each in data.passes if each.kind == kind]
        figure.add_trace(
            go.Bar(
                y=[f"process {each.process}" for each in boxes], base=[each.begin for each in boxes],
                x=[each.end - each.begin for each in boxes], orientation="h", name=words, uid=_style.uid("pass", kind),
                text=[str(each.microbatch) for each in boxes] if is_labelled else None, textposition="inside",
                insidetextanchor="middle", textangle=0, constraintext="none",
                marker={"color": [_shade(colour, each, data) for each in boxes], "line": {"color": "white", "width": 1}},
                customdata=[[each.microbatch, each.stage] for each in boxes],
                hovertemplate=f"%{{y}}: {words} pass of microbatch %{{customdata[0]}} through stage %{{customdata[1]}}<extra></extra>",
            )
        )  # fmt: skip
    figure.update_xaxes(title_text="time (forward passes of one stage)", rangemode="tozero")
    figure.update_yaxes(
        autorange="reversed", type="category", categoryorder="array",
        categoryarray=[f"process {number}" for number in range(data.num_processes)],
    )  # fmt: skip
    height = 130 + 34 * data.num_processes
    return _style.finish(
        figure, alt=in_words(data), height=height, barmode="overlay", bargap=0.12, margin={"b": 90, "t": 10}
    )


def in_words(data: ScheduleData) -> str:
    return f"{data.title}: a process has nothing to do for {data.idle:.0%} of an update."


def _shade(colour: str, each: Pass, data: ScheduleData) -> str:
    turns: Sequence[int] = range(0, data.num_stages, data.num_processes)
    return _style.faint(colour, 0.55 + 0.45 * (each.stage // data.num_processes + 1) / len(turns))
