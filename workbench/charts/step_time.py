"""What an update's time goes into, on each process of a job: at work, sending, waiting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.charts import _style

if TYPE_CHECKING:
    import plotly.graph_objects as go

LOOKS = {  # kind → (colour, pattern, words)
    "compute": (_style.COLOURS[0], "", "computing"),
    "communication": (_style.COLOURS[1], "/", "sending and receiving"),
    "idle": ("#c9ced6", ".", "waiting for others or for a core"),
    "update": (_style.COLOURS[0], "", "one update (an accelerator's clocks don't tell its parts)"),
}


@dataclass(frozen=True)
class StepTimeData:
    """Mean seconds of one update by kind, for each bar; `labels` name the bars."""

    labels: tuple[str, ...]
    seconds: tuple[Mapping[str, float], ...]


def step_time_data(stacks: Sequence[tuple[str, Mapping[str, float]]]) -> StepTimeData:
    """Take (label, seconds by kind) of each process; those that are not known yet are left out."""
    known = [(label, stack) for label, stack in stacks if stack]
    return StepTimeData(tuple(label for label, _ in known), tuple(stack for _, stack in known))


def step_time_figure(data: StepTimeData) -> go.Figure:
    """Draw one bar per process, its pieces one behind the other."""
    import plotly.graph_objects as go

    if not data.labels:
        return _style.nothing("no update is done yet")
    figure = go.Figure()
    for kind, (colour, pattern, words) in LOOKS.items():
        if any(kind in stack for stack in data.seconds):
            values = [1e3 * stack.get(kind, 0.0) for stack in data.seconds]
            figure.add_trace(
                go.Bar(
                    y=data.labels, x=values, name=words, orientation="h", uid=_style.uid("step", kind),
                    marker=_style.hatched(colour, pattern),
                    hovertemplate=f"%{{y}}: {words} %{{x:,.3~g}} ms<extra></extra>",
                )
            )  # fmt: skip
    figure.update_xaxes(title_text="one update (ms, mean)")
    return _style.finish_stacks(figure, len(data.labels), alt=in_words(data), top=10)


def in_words(data: StepTimeData) -> str:
    """Return the mean over processes in words."""
    num = len(data.labels)
    totals = {kind: sum(stack.get(kind, 0.0) for stack in data.seconds) / num for kind in LOOKS}
    whole = sum(totals.values()) or 1.0
    told = ", ".join(
        f"{LOOKS[kind][2]} {value / whole:.0%}"
        for kind, value in totals.items()
        if any(kind in stack for stack in data.seconds)
    )
    return f"One update takes {1e3 * whole:.3g} ms on {num} processes: {told}."
