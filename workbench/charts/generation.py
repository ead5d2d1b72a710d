"""How fast language models write: tokens per second against how much had been read, one line per run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench import table
from workbench.charts import _style
from workbench.errors import WorkbenchError
from workbench.nouns import Measurement, Run

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class Pace:
    """One run; `lo` and `hi` are the ends of the intervals of `rates`, in tokens per second."""

    run_id: str
    label: str
    method: str
    contexts: tuple[int, ...]  # tokens that had been read
    rates: tuple[float, ...]
    lo: tuple[float, ...]
    hi: tuple[float, ...]
    first_ms: float | None
    kv_bytes: float | None  # after the last token


def generation_data(runs: Sequence[Run]) -> tuple[Pace, ...]:
    """Return the runs that wrote texts; raises WorkbenchError when none did."""
    paces = tuple(pace for run in runs if (pace := _pace(run)))
    if not paces:
        raise WorkbenchError(
            "no run here has written a text", next_move="add metric generation to a language model's job"
        )
    return paces


def generation_figure(paces: Sequence[Pace]) -> go.Figure:
    """Draw one line per run with its intervals."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for pace in paces:
        look = _style.marker(pace.method)
        figure.add_trace(
            go.Scatter(
                x=pace.contexts, y=pace.rates, mode="lines+markers", name=pace.label,
                line={"color": look.colour}, marker={"symbol": look.shape, "size": 8},
                error_y={"type": "data", "symmetric": False, "thickness": 1, "color": look.colour,
                         "array": [hi - rate for hi, rate in zip(pace.hi, pace.rates)],
                         "arrayminus": [rate - lo for lo, rate in zip(pace.lo, pace.rates)]},
                hovertemplate=f"{pace.label}<br>{pace.run_id}<br>%{{y:.3g}} tokens/s after %{{x:,}} tokens<br>{_rest(pace)}<extra></extra>",
            )
        )  # fmt: skip
    figure.update_xaxes(title_text="read before (tokens)", rangemode="tozero")
    figure.update_yaxes(title_text="writing (tokens/s)", rangemode="tozero")
    words = "; ".join(f"{pace.label} {pace.rates[0]:.3g} tokens/s after {pace.contexts[0]:,} tokens, "
                      f"{pace.rates[-1]:.3g} after {pace.contexts[-1]:,}, {_rest(pace)}" for pace in paces)  # fmt: skip
    return _style.finish(figure, alt=f"Tokens per second against what had been read. {words}.")


def _pace(run: Run) -> Pace | None:
    rates = [each for each in run.measurements if each.name == "tokens_per_second"]
    if not rates:
        return None
    rates = sorted(_alike(rates), key=lambda each: each.conditions["context"])
    first, kept = run.get("first_token_ms"), run.get("kv_bytes")
    return Pace(
        run.run_id, _style.run_label(run), table.method_text(run),
        tuple(each.conditions["context"] for each in rates), tuple(each.value for each in rates),
        tuple(each.value if each.lo is None else each.lo for each in rates),
        tuple(each.value if each.hi is None else each.hi for each in rates),
        first.value if first else None, kept.value if kept else None,
    )  # fmt: skip


def _alike(rates: Sequence[Measurement]) -> list[Measurement]:
    """Keep those of one metric: a run may have written texts under several conditions."""
    how = [{name: value for name, value in each.conditions.items() if name != "context"} for each in rates]
    return [each for each, conditions in zip(rates, how) if conditions == how[0]]


def _rest(pace: Pace) -> str:
    first = "" if pace.first_ms is None else f"first token after {pace.first_ms:.3g} ms, "
    return f"{first}{'' if pace.kv_bytes is None else f'{pace.kv_bytes:,.0f} bytes kept at the end'}"
