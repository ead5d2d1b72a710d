"""Changed answers as cards: the picture, what each run said and how sure it was, in numbers and bars."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.charts import _thumbnail
from workbench.charts.flips import Flip

if TYPE_CHECKING:
    import numpy as np

MARKS = {"broken": "✕ broken", "fixed": "✓ fixed", "wrong in another way": "≠ wrong in another way"}
KINDS = {"broken": "wb-worse", "fixed": "wb-better", "wrong in another way": "wb-same"}


def gallery_html(flips: Sequence[Flip], inputs: np.ndarray | None) -> str:
    """Return the cards of some flips; None for `inputs` leaves the pictures out."""
    cards = "".join(_card(flip, _picture(flip, inputs)) for flip in flips)
    return f'<div class="wb-gallery" role="list" aria-label="changed answers">{cards}</div>' if cards else ""


def _picture(flip: Flip, inputs: np.ndarray | None) -> str:
    if inputs is None or not _thumbnail.is_image(inputs) or flip.index >= len(inputs):
        return ""
    said = html.escape(f"example {flip.index}, a {flip.target}")
    return f'<img src="{_thumbnail.png_uri(inputs[flip.index])}" alt="{said}">'


def _card(flip: Flip, picture: str) -> str:
    target = html.escape(flip.target)
    head = f'<span class="wb-verdict {KINDS[flip.outcome]}">{MARKS[flip.outcome]}</span>'
    right = html.escape(f"{_percent(flip.target_before)} → {_percent(flip.target_after)}")
    return (
        f'<div class="wb-flip" role="listitem">{head}{picture}<span>is a <b>{target}</b></span>'
        f"{_bar('A', flip.before, flip.answer_before)}{_bar('B', flip.after, flip.answer_after)}"
        f"<small>right class: {right}</small><small>example {flip.index}</small></div>"
    )


def _bar(run: str, answer: str, probability: float) -> str:
    """Return a run's answer with its probability as a number and as a bar."""
    said = f"{run} says <b>{html.escape(answer)}</b>"
    filled = f'<i style="width:{100 * min(1.0, max(0.0, probability)):.1f}%"></i>' if probability == probability else ""
    return f'<div class="wb-answer wb-{run.lower()}"><span>{said}</span><span>{html.escape(_percent(probability))}</span><div aria-hidden="true">{filled}</div></div>'


def _percent(probability: float) -> str:
    """Return a probability in per cent, never rounded to what it isn't; `not a number` for NaN."""
    if probability != probability:
        return "not a number"
    if 0 < probability < 0.005:
        return "< 0.5\u202f%"
    return "> 99.5\u202f%" if 0.995 < probability < 1 else f"{probability:.0%}".replace("%", "\u202f%")
