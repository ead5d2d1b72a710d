"""Layouts and the processes of a job as tables in HTML, no widget."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from widgets import _words
from widgets._run_words import part_text
from workbench.plan.ways import Way
from workbench.rank_log import Told
from workbench.wording import bytes_text

STATES = {  # state → (class of the chip, icon and word)
    "starting": ("wb-open", "… starting"),
    "working": ("wb-busy", "▶ working"),
    "done": ("wb-good", "✓ done"),
    "failed": ("wb-bad", "✕ failed"),
    "silent": ("wb-bad", "? silent"),
}


def ways_html(ways: Sequence[Way], picked: str) -> str:
    """Return every way to spread a training, those that can't be taken greyed, with their reasons."""
    rows = []
    for way in ways:
        mark = "✓ " if way.title == picked and not way.reasons else ""
        if way.reasons:
            told = f'<span class="wb-refusal">✗ {html.escape("; ".join(way.reasons))}</span>'
            rows.append((f'<span class="wb-refusal">{html.escape(way.title)}</span>', told, "", ""))
            continue
        rows.append(
            (html.escape(mark + way.title), bytes_text(way.most_bytes), _share(way.efficiency), _of_a_step(way.seconds))
        )
    heads = ("layout", "memory of the fullest process", "expected efficiency", "an update is expected to be")
    return _words.table("Every way over so many processes; expected from the model's card, not measured", heads, rows)


def ranks_html(ranks: Sequence[Told], now: datetime) -> str:
    """Return where each process stands."""
    rows = []
    for told in ranks:
        kind, word = STATES[told.state(now)]
        where = f"{part_text(told.part)} {told.done:,} of {told.total:,}" if told.trains else part_text(told.part)
        silent = f"{(now - told.at).total_seconds():.0f} s ago" if told.at and told.state(now) == "silent" else ""
        said = html.escape(told.text if told.kind in ("failed", "log") else silent)
        stack = told.per_update(whole=told.state(now) in ("done", "failed"))
        rows.append(
            (
                f"rank {told.rank}",
                f'<span class="wb-chip {kind}">{word}</span>',
                html.escape(where),
                _stack(stack),
                said,
            )
        )
    return _words.table("Processes", ("", "state", "where", "an update, on average", "last words"), rows)


def speed_text(told: Told, *, whole: bool) -> str:
    """Return how fast all processes learn together: targets are tokens for language models, one for each picture."""
    values = {what: told.per_second(what, whole=whole) for what in ("examples", "targets")}
    if values["examples"] is None or values["targets"] is None:
        return ""
    own = "" if abs(values["targets"] - values["examples"]) < 1e-6 else f" · {values['targets']:,.0f} tokens/s"
    return f"{values['examples']:,.0f} examples/s{own}"


def failure_html(error: Mapping[str, Any] | None) -> str:
    """Return what ended a run: message, next move, and the traceback of the process that failed first."""
    if not error:
        return ""
    trace = html.escape(str(error.get("traceback") or ""))
    folded = f'<details open><summary>Traceback</summary><pre class="wb-trace">{trace}</pre></details>' if trace else ""
    then = f"<br><b>Next:</b> {html.escape(str(error['next']))}" if error.get("next") else ""
    said = html.escape(str(error.get("message") or "cause not recorded"))
    return f'<div role="alert" class="wb-problem"><b>{said}</b>{then}</div>{folded}'


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _of_a_step(seconds: Mapping[str, float] | None) -> str:
    if not seconds:
        return ""
    whole = sum(seconds.values())
    parts = ", ".join(f"{kind} {value / whole:.0%}" for kind, value in seconds.items() if value / whole >= 0.005)
    return f"{_time(whole)}: {parts}"


def _stack(stack: Mapping[str, float]) -> str:
    return " · ".join(f"{kind} {_time(value)}" for kind, value in stack.items())


def _time(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
