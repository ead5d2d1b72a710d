"""What a lesson shows, as HTML that follows the theme: text with marks, verdicts, the picture of a finding."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.lessons.exercise import Finding
    from workbench.lessons.words import Said, Words

MARKS = (  # of text that is escaped already
    (re.compile(r"`([^`]+)`"), r"<code>\1</code>"),
    (re.compile(r"\*\*([^*]+)\*\*"), r"<b>\1</b>"),
    (re.compile(r"(?<![\w*])\*([^*\s][^*]*)\*(?![\w*])"), r"<i>\1</i>"),
)
SIGNS = {"ok": "✓", "try_again": "↻", "not_attempted": "…"}
WIDEST, MOST_ROWS = 200, 12  # pixels of a bar, cases in a picture


def marked(text: str) -> str:
    """Return text with `code`, **bold** and *emphasis* as HTML; everything else is escaped."""
    found = html.escape(text.strip(), quote=False)
    pieces = re.split(r"(`[^`]+`)", found)  # no marks inside of code
    for index, piece in enumerate(pieces):
        for pattern, into in MARKS[:1] if index % 2 else MARKS[1:]:
            piece = pattern.sub(into, piece)
        pieces[index] = piece
    return "".join(pieces)


def paragraph(text: str, kind: str = "") -> str:
    return f'<p class="{kind}">{marked(text)}</p>' if text else ""


def code(text: str) -> str:
    return f'<pre class="wb-code">{html.escape(text.strip())}</pre>'


def question(head: str, facts: Sequence[str], ask: str) -> str:
    """Return what is asked, under its head, with facts such as minutes beside it."""
    told = " ".join(f'<span class="wb-lesson-fact">{html.escape(each)}</span>' for each in facts)
    return f'<section class="wb-ask"><h4>{marked(head)} {told}</h4>{paragraph(ask)}</section>'


def verdict(words: Words, said: Said, finding: Finding) -> str:
    """Return a verdict: its line, what came out, the likely cause, the next step, and the picture."""
    head = f'<p class="wb-verdict-line"><b>{SIGNS[finding.verdict]} {html.escape(said.verdict)}</b></p>'
    if said.observed:
        parts = (
            (words.word("observed"), said.observed),
            (words.word("cause"), said.cause),
            (words.word("next"), said.next_step),
        )
        told = "".join(f"<dt>{html.escape(name)}</dt><dd>{marked(text)}</dd>" for name, text in parts)
        body = f'<dl class="wb-said">{told}</dl>'
    else:
        body = paragraph(said.line)
    return (
        f'<section role="status" class="wb-found wb-{finding.verdict}">{head}{body}{picture(words, finding)}</section>'
    )


def picture(words: Words, finding: Finding) -> str:
    """Return the cases with a mark each, bars or grids of numbers: whatever the finding holds."""
    pieces = [_rows(words, finding)] if finding.rows else []
    if finding.bars:
        pieces.append(bars(finding.bars))
    if finding.grids:
        pieces.append(f'<div class="wb-grids">{"".join(grid(name, rows) for name, rows in finding.grids)}</div>')
    return "".join(pieces)


def bars(rows: Sequence[tuple[str, float, str]]) -> str:
    """Return a bar per (name, number ≥ 0, number in words), the largest as wide as there is room."""
    most = max((value for _, value, _ in rows), default=0.0) or 1.0
    lines = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th><td><i style="width:{max(1, round(WIDEST * value / most))}px"></i>'
        f"<span>{html.escape(text)}</span></td></tr>"
        for name, value, text in rows
    )
    return f'<table class="wb-bars">{lines}</table>'


def grid(name: str, rows: Sequence[Sequence[float]]) -> str:
    """Return numbers as a grid, the larger the stronger its colour; zeros are empty."""
    most = max((abs(value) for row in rows for value in row), default=0.0) or 1.0
    lines = "".join(f"<tr>{''.join(_cell(value, most) for value in row)}</tr>" for row in rows)
    return f'<table class="wb-grid"><caption>{marked(name)}</caption>{lines}</table>'


def _cell(value: float, most: float) -> str:
    strength = round(100 * abs(value) / most)
    side = "wb-minus" if value < 0 else "wb-plus"
    return f'<td class="{side}" style="--wb-strength:{strength}%">{"" if value == 0 else f"{value:.2g}"}</td>'


def _rows(words: Words, finding: Finding) -> str:
    heads = "".join(f'<th scope="col">{html.escape(words.word(name))}</th>' for name in ("case", "given"))
    lines = "".join(
        f'<tr class="{"wb-right" if good else "wb-wrong"}"><td>{"✓" if good else "✗"}</td>'
        f'<th scope="row">{html.escape(label)}</th><td><code>{html.escape(given)}</code></td></tr>'
        for label, given, good in finding.rows[:MOST_ROWS]
    )
    return f'<table class="wb-cases"><thead><tr><th></th>{heads}</tr></thead><tbody>{lines}</tbody></table>'
