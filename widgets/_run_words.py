"""An entry of the queue in words: its state, how far it is, what ended it. Plain text and HTML, no widget."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from workbench import table
from workbench.nouns import Run
from workbench.queue import Entry

# State → (class of the chip, icon and word): never colour alone.
CHIPS = {
    "waiting": ("wb-open", "… waiting"),
    "running": ("wb-busy", "▶ running"),
    "done": ("wb-good", "✓ done"),
    "failed": ("wb-bad", "✕ failed"),
    "cancelled": ("wb-open", "■ cancelled"),
    "lost": ("wb-bad", "? lost"),
}
CAUSES = {
    "out_of_memory": "Out of memory",
    "disk_full": "Disk full",
    "killed": "Killed",
    "cancelled": "Cancelled",
    "raised": "Error",
    "unreadable": "Can't be read",
}
SIGNALS = {
    9: "KILL: by the system when memory ran out, or by somebody",
    15: "TERM: asked to end",
    11: "SEGV: a crash in compiled code",
    6: "ABRT: a crash in compiled code",
}
STEP = re.compile(r"steps\[(\d+)\]\.(\w+)")
COUNTED = ("running", "waiting", "done", "failed", "lost", "cancelled")
SPARK_WIDTH, SPARK_HEIGHT = 120, 24


def counts_text(entries: Sequence[Entry]) -> str:
    """Return `1 running, 2 waiting, 1 failed`; what is not there isn't said."""
    states = [entry.state for entry in entries]
    return ", ".join(f"{states.count(state)} {state}" for state in COUNTED if state in states) or "nothing in the queue"


def title_html(entry: Entry) -> str:
    """Return what the entry is: state, recipe, model, format, name; what it is for when nobody asked for it itself."""
    kind, said = CHIPS[entry.state]
    if entry.cancelling:
        said = "■ stopping"
    like = Run(entry.run_id or "", entry.job_id, "planned", entry.job)
    what = f"{table.recipe_text(like)}" if entry.job else entry.job_id
    where = f"{table.model_text(like)} on {table.data_text(like)}, {table.format_text(like)}" if entry.job else ""
    spread = f" · {table.layout_text(like)}" if table.layout_text(like) else ""
    why = f"<br><small>as trained, for the comparison of {escape(entry.for_job)}</small>" if entry.for_job else ""
    return (
        f'<span class="wb-chip {kind}">{said}</span> <b>{escape(what)}</b><br>'
        f"<small>{escape(where)}{escape(spread)} · <code>{escape(entry.run_id or entry.job_id)}</code></small>{why}"
    )


def facts_html(entry: Entry, now: datetime) -> str:
    """Return how far an entry is: bar and numbers while it runs, why it waits, how long it took, what ended it."""
    if entry.state == "waiting":
        return f'<span class="wb-note">{escape(entry.why_waiting)}</span>'
    if entry.state == "running":
        return f"{_bar(entry)}{escape(' · '.join(filter(None, _progress(entry, now))))}"
    took = elapsed_text(entry, now)
    return (f'<span class="wb-note">took {took}</span>' if took else "") + error_html(entry)


def error_html(entry: Entry) -> str:
    """Return cause and next move of an entry that didn't end well; empty for others."""
    if not entry.error:
        return ""
    error = entry.error
    kind = CAUSES.get(str(error.get("kind")), str(error.get("kind") or "Error"))
    signal = error.get("signal")
    meaning = f" (signal {signal}, {SIGNALS[signal]})" if signal in SIGNALS else ""
    role = "" if entry.state == "cancelled" else ' role="alert"'
    then = f"<br><b>Next:</b> {escape(str(error['next']))}" if error.get("next") else ""
    return f"<div{role}><b>{escape(kind)}:</b> {escape(str(error.get('message') or 'cause not recorded'))}{meaning}{then}</div>"


def elapsed_text(entry: Entry, now: datetime) -> str:
    """Return the wall time from the start to the end, or until now; empty before the start."""
    if not entry.started:
        return ""
    end = datetime.fromisoformat(entry.ended) if entry.ended else now
    return duration_text((end - datetime.fromisoformat(entry.started)).total_seconds())


def duration_text(seconds: float) -> str:
    """Return `8 s`, `2 min 05 s`, `1 h 10 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def part_text(part: str) -> str:
    """Return `step 1: train` for `steps[0].train`."""
    found = STEP.fullmatch(part)
    return (
        f"step {int(found[1]) + 1}: {found[2].replace('_', ' ')}" if found else part.replace(".", " ").replace("_", " ")
    )


def sparkline(values: Sequence[float], name: str) -> str:
    """Return a tiny curve of what went before, as SVG that says its ends in words; empty for fewer than two values."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    places = " ".join(
        f"{1 + index * (SPARK_WIDTH - 2) / (len(values) - 1):.1f},{1 + (high - value) / span * (SPARK_HEIGHT - 2):.1f}"
        for index, value in enumerate(values)
    )
    said = f"{name} went from {values[0]:.3g} to {values[-1]:.3g}, lowest {low:.3g}"
    return (
        f'<svg class="wb-spark" role="img" aria-label="{escape(said)}" width="{SPARK_WIDTH}" height="{SPARK_HEIGHT}">'
        f'<title>{escape(said)}</title><polyline points="{places}" fill="none" stroke="currentColor" stroke-width="1.5"/>'
        f"</svg> <small>{escape(name)} {values[0]:.3g} → {values[-1]:.3g}</small>"
    )


def utc_now() -> datetime:
    return datetime.now(UTC)


def _bar(entry: Entry) -> str:
    label = f'aria-label="{escape(part_text(entry.part) or "starting")}"'
    if not entry.total:
        return f'<progress class="wb-progress" {label}></progress><br>'
    return f'<progress class="wb-progress" value="{entry.done}" max="{entry.total}" {label}></progress><br>'


def _progress(entry: Entry, now: datetime) -> list[str]:
    numbers = f" {entry.done}/{entry.total} {entry.unit}".rstrip() if entry.total else ""
    eta = f"about {duration_text(entry.eta_seconds)} left in this part" if entry.eta_seconds is not None else ""
    values = [f"{name.replace('_', ' ')} {value:.4g}" for name, value in entry.values.items()]
    words = "" if entry.total else entry.text  # what a part says that doesn't count
    return [
        f"{part_text(entry.part) or 'starting'}{numbers}",
        *values,
        words,
        eta,
        f"{elapsed_text(entry, now)} so far",
    ]
