"""The report's table and recommendation as plain text, for a terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from html import unescape

from workbench import table, wording
from workbench.nouns import Run
from workbench.report import _choice as choice
from workbench.report._groups import Group, quality

HEADS = ("model", "recipe", "format", "size", "test", "95% interval", "p50 ms", "× fp32 ONNX", "95% interval")
WIDTH = 110  # of sentences; the table is as wide as it is
LEFT = 3  # columns of words; the others are numbers


def plain_text(groups: Sequence[Group]) -> str:
    """Return one line per run, one line per failed run with its cause, and one line per model on what to take."""
    lines = [HEADS, *(_line(group, run) for group in groups for run in group.runs if run.status == "done")]
    widths = [max(map(len, column)) for column in zip(*lines)]
    failed = [
        f"✕ {group.name}, {group.short(run)}: {run.status}: {table.error_text(run)}"
        for group in groups
        for run in group.runs
        if run.status != "done"
    ]
    return "\n".join([*(_aligned(line, widths) for line in lines), *failed, "", *_headlines(groups)])


def _line(group: Group, run: Run) -> tuple[str, ...]:
    size, tested, latency = run.get("artifact_bytes"), quality(run, "test"), run.get("latency_ms_p50")
    ratio = run.get("latency_ratio_to_reference")
    return (
        group.name,
        group.short(run),
        table.format_text(run),
        wording.bytes_text(size.value) if size else "–",
        wording.quantity(tested.value, tested.unit) if tested else "–",
        wording.interval_text(tested) if tested else "–",
        f"{latency.value:.3g}" if latency else "–",
        f"{ratio.value:.2f}" if ratio else "–",
        wording.interval_text(ratio) if ratio else "–",
    )


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    cells = [cell.ljust(width) for cell, width in zip(line[:LEFT], widths[:LEFT])]
    cells += [cell.rjust(width) for cell, width in zip(line[LEFT:], widths[LEFT:])]
    return "  ".join(cells).rstrip()


def _headlines(groups: Sequence[Group]) -> list[str]:
    """Say what the page says in its first lines, without its marks."""
    items = choice.headline(groups).split("</li>")
    texts = [unescape(re.sub(r"<[^>]+>", "", item)).strip() for item in items]
    return [textwrap.fill(text, WIDTH, subsequent_indent="    ") for text in texts if text]
