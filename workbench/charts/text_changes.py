"""Which sequences of test text a language model predicts worse than its parent, and at which tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.charts import _style
from workbench.compare import _samples
from workbench.errors import ArtifactError, InvalidInput
from workbench.nouns import Run

if TYPE_CHECKING:
    import numpy as np
    import plotly.graph_objects as go

Decode = Callable[["np.ndarray"], Sequence[str]]  # token numbers (n,) → their texts
CONTROLS = {9: "⇥", 10: "⏎", 13: "␍", 32: " "}


@dataclass(frozen=True)
class TokenChange:
    """One token; `before` and `after`: nats, −log of the probability that parent and run gave it."""

    text: str
    before: float
    after: float

    @property
    def change(self) -> float:
        """Nats; positive is worse."""
        return self.after - self.before


@dataclass(frozen=True)
class SequenceChange:
    """One sequence, mean nats per token; `tokens` are what was predicted, so the first one given isn't among them."""

    index: int  # in its split
    before: float
    after: float
    text: str
    tokens: tuple[TokenChange, ...]  # empty beyond those that were asked for

    @property
    def change(self) -> float:
        return self.after - self.before


@dataclass(frozen=True)
class TextChangesData:
    """`changes` of all sequences ascend with `order`: the sequence that lost most comes first."""

    run_id: str
    parent: str
    split: str
    num_tokens: int
    order: np.ndarray  # (n,) indices of sequences, the worst first
    changes: np.ndarray  # (n,) nats per token, in that order
    worst: tuple[SequenceChange, ...]
    best: tuple[SequenceChange, ...]  # those that gained most
    share_worse: float  # of sequences


def byte_texts(tokens: np.ndarray) -> list[str]:
    """Return bytes as characters, one each: letters as they are, blanks by signs, others as ·.

    Raises InvalidInput for numbers above 255, which are tokens of some tokenizer.
    """
    if tokens.size and int(tokens.max()) > 255:
        raise InvalidInput(
            [f"token {int(tokens.max())} is no byte"], next_move="give decode, from the model's tokenizer"
        )
    return [CONTROLS.get(byte) or (chr(byte) if 32 < byte < 127 else "·") for byte in tokens.tolist()]


def text_changes_data(
    run: Run, parent: Run, *, split: str = "test", most: int = 20, decode: Decode = byte_texts
) -> TextChangesData:
    """Compare recorded likelihoods sequence by sequence; texts and tokens for the `most` that changed either way.

    Raises ArtifactError when one of the two kept no likelihoods, InvalidInput when they read different text.
    """
    import numpy as np

    before, targets = _likelihoods(parent, split)
    after, targets_after = _likelihoods(run, split)
    if before.shape != after.shape or not np.array_equal(targets, targets_after):
        raise InvalidInput([f"{run.run_id} and {parent.run_id} did not read the same {split} text"])
    counted = targets != _samples.IGNORED_TARGET
    lengths = np.maximum(counted.sum(axis=1), 1)
    means = [np.where(counted, nll, 0.0).sum(axis=1) / lengths for nll in (before, after)]
    changes = means[1] - means[0]
    order = np.argsort(-changes, kind="stable")

    def told(index: int) -> SequenceChange:
        here = counted[index]
        rows = zip(decode(targets[index][here]), before[index][here].tolist(), after[index][here].tolist())
        tokens = tuple(TokenChange(*row) for row in rows)
        text = "".join(token.text for token in tokens)
        return SequenceChange(index, float(means[0][index]), float(means[1][index]), text, tokens)

    worst = [int(index) for index in order[:most] if changes[index] > 0]
    best = [int(index) for index in order[::-1][:most] if changes[index] < 0]
    return TextChangesData(
        run.run_id, parent.run_id, split, int(counted.sum()), order, changes[order], tuple(map(told, worst)),
        tuple(map(told, best)), float((changes > 0).mean()),
    )  # fmt: skip


def text_changes_figure(data: TextChangesData) -> go.Figure:
    """Draw the change of every sequence, the worst first; customdata is the index of the sequence."""
    import numpy as np
    import plotly.graph_objects as go

    place = np.arange(1, len(data.order) + 1)
    texts = {each.index: each.text for each in (*data.worst, *data.best)}
    traces: list[dict[str, Any]] = []
    for name, mine, colour, shape in (
        ("worse than the parent", data.changes > 0, _style.WORSE, "triangle-up"),
        ("as good or better", data.changes <= 0, _style.BETTER, "circle"),
    ):
        hover = [
            f"{data.split} sequence {index}: {change:+.3f} nats per token<br>{_excerpt(texts.get(index, ''))}"
            for index, change in zip(data.order[mine].tolist(), data.changes[mine].tolist())
        ]
        traces.append(
            {"type": "scattergl" if len(place) > 2000 else "scatter", "mode": "markers", "name": name, "hoverinfo": "text",
             "x": place[mine], "y": data.changes[mine], "hovertext": _style.objects(hover), "customdata": data.order[mine],
             "marker": {"color": colour, "symbol": shape, "size": 6}}
        )  # fmt: skip
    return _style.finish(
        go.Figure(traces), alt=_in_words(data), height=340, showlegend=True,
        xaxis={"title": {"text": f"{data.split} sequences, the worst first (rank)"}},
        yaxis={"title": {"text": "change of loss<br>(nats per token)"}, "zeroline": True, "zerolinecolor": _style.FAINT},
    )  # fmt: skip


def _likelihoods(run: Run, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (nll, targets), both (sequences, tokens)."""
    found = _samples.arrays(run, "predictions.npz")
    nll, targets = found.get(f"{split}_nll"), found.get(f"{split}_targets")
    if nll is None or targets is None or nll.ndim != 2 or nll.shape != targets.shape:
        raise ArtifactError(f"{run.run_id} kept no likelihoods of the {split} split")
    return nll.astype(float), targets


def _excerpt(text: str, most: int = 80) -> str:
    from html import escape

    return escape(text if len(text) <= most else f"{text[:most]}…")


def _in_words(data: TextChangesData) -> str:
    mean = float(data.changes.mean()) if len(data.changes) else 0.0
    worst = "; ".join(f"sequence {each.index} {each.change:+.3f}: {each.text[:40]}" for each in data.worst[:3])
    return (
        f"Change of loss per {data.split} sequence against the parent: {data.share_worse:.0%} of {len(data.order):,} "
        f"sequences are worse, mean {mean:+.3f} nats per token. Worst: {worst}."
    )
