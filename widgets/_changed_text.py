"""What a language model reads worse or better than before: sequences by their change, the tokens that changed most marked."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets import _words
from widgets.chart_host import Chart
from workbench import tokenizer
from workbench.charts.text_changes import (
    SequenceChange,
    TextChangesData,
    TokenChange,
    byte_texts,
    text_changes_data,
    text_changes_figure,
)
from workbench.errors import InvalidInput
from workbench.nouns import Run

if TYPE_CHECKING:
    import numpy as np

    from widgets.pump import Pump

MOST = 60  # sequences either way whose text is kept at hand
PER_PAGE = 12
MARKED = 5  # tokens of a sequence that are underlined
WORSE, BETTER = "worse, worst first", "better, best first"
NUMBERS = "The tokens are those of a tokenizer that the artifact lacks: their numbers are shown."


class ChangedText:
    """Shows the text changes it was given; which way and which page is its own."""

    def __init__(self, pump: Pump) -> None:
        self.data: TextChangesData | None = None
        self.one: int | None = None  # the sequence clicked in the chart
        self.chart = Chart()
        self.way = ipywidgets.ToggleButtons(
            options=(WORSE, BETTER), description="Read", tooltips=("Sequences that lost", "Sequences that gained")
        )
        self.told, self.listed = ipywidgets.HTML(), ipywidgets.HTML()
        self.way.observe(lambda _: pump.do(self._pick, None), names="value")
        self.chart.on_click(lambda index: pump.do(self._pick, index))
        self.view = ipywidgets.VBox(
            [self.chart, ipywidgets.Box([self.way]).add_class("wb-flow"), self.told, self.listed]
        ).add_class("wb-changed-text")

    def show(self, a: Run, b: Run, split: str) -> str:
        """Compare two runs on a split and show it; returns what to say. Raises WorkbenchError when they can't be."""
        self.data, note = text_changes(a, b, split)
        self.chart.show(text_changes_figure(self.data))
        self._pick(None)
        told = (
            f"{self.data.share_worse:.0%} of {len(self.data.order):,} {split} sequences are read worse by B than by A"
        )
        return _words.note(f"{told}; loss in nats per token, {self.data.num_tokens:,} tokens. {note}")

    def _pick(self, index: Any) -> None:
        """Show one sequence, or (None) the page of those that changed most."""
        if self.data is None:
            return
        self.one = index if isinstance(index, int) else None
        shown = list(self.data.worst if self.way.value == WORSE else self.data.best)[:PER_PAGE]
        told = f"Underlined: the {MARKED} tokens of each sequence that changed most; their tooltips say by how much."
        if self.one is not None:
            shown = [each for each in (*self.data.worst, *self.data.best) if each.index == self.one]
            told = (
                f"Sequence {self.one}."
                if shown
                else f"Sequence {self.one} changed little; its text is not kept at hand."
            )
        _words.say(self.told, _words.note(told if shown or self.one is not None else "No sequence changed this way."))
        _words.say(self.listed, texts_html(shown))


def text_changes(a: Run, b: Run, split: str) -> tuple[TextChangesData, str]:
    """Return the changes from A to B, and what is to be said of how their text is shown."""
    kept = Path(b.folder) / b.artifact
    if b.artifact and (kept / tokenizer.FILE).exists():
        return text_changes_data(b, a, split=split, most=MOST, decode=tokenizer.read(kept).each), ""
    try:
        return text_changes_data(b, a, split=split, most=MOST, decode=byte_texts), ""
    except InvalidInput as error:
        if "is no byte" not in str(error):
            raise
    return text_changes_data(b, a, split=split, most=MOST, decode=_numbers), NUMBERS


def texts_html(changes: Sequence[SequenceChange]) -> str:
    """Return the sequences with their change, tokens that changed much marked in the way of the whole sequence."""
    lines = "".join(
        f"<li><b>sequence {each.index}: {_signed(each.change)} nats per token</b> "
        f"({each.before:.2f} → {each.after:.2f})<br><code>{_marked(each)}</code></li>"
        for each in changes
    )
    return f"<ul>{lines}</ul>" if lines else ""


def _marked(sequence: SequenceChange) -> str:
    """Return the text, underlined where it changed most in the way of the whole sequence."""
    way = 1 if sequence.change > 0 else -1
    most = sorted((way * token.change for token in sequence.tokens), reverse=True)[:MARKED]
    least = max(most[-1], 1e-9) if most else 0.0
    return "".join(_token(token, marked=way * token.change >= least, worse=way > 0) for token in sequence.tokens)


def _token(token: TokenChange, *, marked: bool, worse: bool) -> str:
    text = html.escape(token.text)
    if not marked:
        return text
    said = f"{_signed(token.change)} nats: {token.before:.2f} → {token.after:.2f}"
    return f'<span class="wb-token {"wb-worse" if worse else "wb-better"}" title="{html.escape(said)}">{text}</span>'


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _numbers(tokens: np.ndarray) -> list[str]:
    return [f"{token} " for token in tokens.tolist()]
