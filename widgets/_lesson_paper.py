"""A reproduction card: the paper's row, ours, what differs, and whether the claim holds within its tolerance."""

from __future__ import annotations

import html

from widgets import _lesson_html as page
from workbench.lessons.exercise import Paper
from workbench.lessons.words import Words


def card(words: Words, paper: Paper, value: float) -> str:
    """Return the card as HTML; `value` is in the unit of the card."""
    own = words.own["papers"][paper.id]
    holds = paper.low <= value <= paper.high
    verdict = words.word("claim_holds" if holds else "claim_fails", value=f"{value:+.2f}", low=f"{paper.low:g}",
                         high=f"{paper.high:g}", unit=paper.unit)  # fmt: skip
    rows = (
        (words.word("target"), f"{own['target']} ({paper.source})"),
        (words.word("ours"), f"{own['ours']}: **{value:+.2f} {paper.unit}**"),
        (words.word("differs"), own["differs"]),
    )
    told = "".join(f"<dt>{html.escape(name)}</dt><dd>{page.marked(text)}</dd>" for name, text in rows)
    kind = "wb-ok" if holds else "wb-try_again"
    head = f"<h4>{page.marked(words.word('paper'))} · {page.marked(own['claim'])}</h4>"
    return f'<section class="wb-found {kind}">{head}<dl class="wb-said">{told}</dl>{page.paragraph(f"**{verdict}**")}</section>'
