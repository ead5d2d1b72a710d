"""Which test examples changed their answer against the parent, and how sure both were."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from workbench.charts import _style, _thumbnail
from workbench.compare import _samples
from workbench.errors import InvalidInput
from workbench.nouns import Run

if TYPE_CHECKING:
    import numpy as np
    import plotly.graph_objects as go

Outcome = Literal["broken", "fixed", "wrong in another way"]
OUTCOMES: tuple[Outcome, ...] = ("broken", "fixed", "wrong in another way")


@dataclass(frozen=True)
class Flip:
    """One example whose answer changed; the probabilities are softmax of the recorded outputs."""

    index: int  # in its split
    target: str
    before: str  # the parent's answer
    after: str
    outcome: Outcome
    target_before: float  # probability of the right class, parent
    target_after: float
    answer_before: float  # probability of the answer given, parent
    answer_after: float
    image: str = ""  # data URI; empty when the input is no picture


@dataclass(frozen=True)
class Probabilities:
    """How likely both runs held the classes of one example, the likeliest of either first."""

    index: int
    target: str
    classes: tuple[str, ...]
    before: tuple[float, ...]  # the parent's
    after: tuple[float, ...]
    num_left_out: int  # classes that neither held likely


@dataclass(frozen=True)
class FlipsData:
    """`matrix[i, j]`: changed examples that the parent called labels[i] and this run labels[j]."""

    run_id: str
    parent: str
    split: str
    num_examples: int
    labels: tuple[str, ...]
    matrix: np.ndarray
    counts: Mapping[Outcome, int]
    flips: tuple[Flip, ...]  # broken first, the largest loss of the right class's probability first


def flips_data(
    run: Run, parent: Run, *, split: str = "test", images: np.ndarray | None = None, labels: Sequence[str] = ()
) -> FlipsData:
    """Compare recorded predictions example by example; `images` (N, C, H, W) adds thumbnails, None = no pictures.

    Raises ArtifactError when one of the two kept no class predictions, InvalidInput when they are of other examples.
    """
    import numpy as np

    before, after = _answers(run, parent, split)
    names = tuple(labels) or tuple(str(index) for index in range(after.outputs.shape[1]))
    changed = np.flatnonzero(before.predicted != after.predicted)
    matrix = np.zeros((len(names), len(names)), np.int64)
    np.add.at(matrix, (before.predicted[changed], after.predicted[changed]), 1)
    shown = images if images is not None and _thumbnail.is_image(images) and len(images) == len(after.targets) else None
    pairs = before.probabilities(), after.probabilities()
    found = [_flip(int(index), *pairs, names, int(after.targets[index])) for index in changed]
    found.sort(key=lambda flip: (OUTCOMES.index(flip.outcome), flip.target_after - flip.target_before, flip.index))
    if shown is not None:
        found = [_with_image(flip, shown) for flip in found]
    counts = {outcome: sum(flip.outcome == outcome for flip in found) for outcome in OUTCOMES}
    return FlipsData(run.run_id, parent.run_id, split, len(after.targets), names, matrix, counts, tuple(found))


def filter_flips(
    flips: Sequence[Flip],
    *,
    outcomes: Collection[str] = (),
    targets: Collection[str] = (),
    before: Collection[str] = (),
    after: Collection[str] = (),
) -> list[Flip]:
    """Return, in their order, the flips with one of these outcomes, right classes and answers; empty = any."""
    wanted = (("outcome", outcomes), ("target", targets), ("before", before), ("after", after))
    return [flip for flip in flips if all(not names or getattr(flip, field) in names for field, names in wanted)]


def probabilities_data(
    run: Run, parent: Run, index: int, *, split: str = "test", labels: Sequence[str] = (), most: int = 10
) -> Probabilities:
    """Return what both said of one example: the `most` likeliest classes of either, and always the right one.

    Raises InvalidInput when there is no such example.
    """
    import numpy as np

    before, after = _answers(run, parent, split)
    if not 0 <= index < len(after.targets):
        raise InvalidInput([f"there is no {split} example {index}: they go from 0 to {len(after.targets) - 1}"])
    old, new = before.probabilities()[index], after.probabilities()[index]
    names, target = tuple(labels) or tuple(map(str, range(len(new)))), int(after.targets[index])
    likeliest = np.argsort(-np.maximum(old, new), kind="stable")
    kept = [int(each) for each in likeliest[:most]]
    kept += [] if target in kept else [target]
    return Probabilities(
        index, names[target], tuple(names[each] for each in kept), tuple(float(old[each]) for each in kept),
        tuple(float(new[each]) for each in kept), len(new) - len(kept),
    )  # fmt: skip


def flips_figure(data: FlipsData) -> go.Figure:
    """Draw how many examples moved from which answer to which; unchanged ones are left out."""
    import plotly.graph_objects as go

    figure = go.Figure(
        go.Heatmap(
            z=data.matrix, x=data.labels, y=data.labels, text=[[str(n or "") for n in row] for row in data.matrix],
            texttemplate="%{text}", colorscale=[[0, "#ffffff"], [1, _style.COLOURS[0]]], zmin=0,
            zmax=max(1, int(data.matrix.max(initial=0))), xgap=1, ygap=1, showscale=False,
            hovertemplate="parent said %{y}, this run says %{x}: %{z} examples<extra></extra>",
        )
    )  # fmt: skip
    axis = {"type": "category", "showgrid": False}
    figure.update_xaxes(title_text="answer of this run (class)", constrain="domain", **axis)
    figure.update_yaxes(title_text="answer of the parent (class)", autorange="reversed", scaleanchor="x", **axis)
    words = ", ".join(f"{count} {outcome}" for outcome, count in data.counts.items())
    alt = f"{len(data.flips)} of {data.num_examples} {data.split} answers changed: {words}."
    return _style.finish(figure, alt=alt, height=380, margin_b=60)


def flip_examples_figure(data: FlipsData, *, most: int = 12) -> go.Figure:
    """Draw the worst flips as pictures, each titled with what it is, what the parent said and what this run says."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    shown = [flip for flip in data.flips if flip.image][:most]
    if not shown:
        raise InvalidInput(["no changed example can be shown as a picture"])
    num_columns = min(6, len(shown))
    titles = [
        f"{flip.target}: {flip.before} → {flip.after}<br>{flip.target_before:.0%} → {flip.target_after:.0%}"
        for flip in shown
    ]
    figure = make_subplots(rows=-(-len(shown) // num_columns), cols=num_columns, subplot_titles=titles)
    for place, flip in enumerate(shown):
        where = {"row": place // num_columns + 1, "col": place % num_columns + 1}
        figure.add_trace(go.Image(source=flip.image, hoverinfo="skip"), **where)
    words = "; ".join(f"a {flip.target} called {flip.before} before, {flip.after} now" for flip in shown)
    _style.finish(
        figure, alt=f"Changed {data.split} examples: {words}.", height=190 * (-(-len(shown) // num_columns)) + 60
    )
    figure.update_xaxes(visible=False)
    return figure.update_yaxes(visible=False)


def _answers(run: Run, parent: Run, split: str) -> tuple[_samples.Answers, _samples.Answers]:
    """Return the answers of the parent and of the run, on the same examples."""
    before, after = _samples.answers(parent, split), _samples.answers(run, split)
    if before.outputs.shape != after.outputs.shape or (before.targets != after.targets).any():
        raise InvalidInput([f"{run.run_id} and {parent.run_id} were not measured on the same {split} examples"])
    return before, after


def _flip(index: int, before: np.ndarray, after: np.ndarray, names: Sequence[str], target: int) -> Flip:
    old, new = before[index], after[index]
    first, second = int(old.argmax()), int(new.argmax())
    outcome: Outcome = "broken" if first == target else "fixed" if second == target else "wrong in another way"
    return Flip(
        index, names[target], names[first], names[second], outcome,
        float(old[target]), float(new[target]), float(old[first]), float(new[second]),
    )  # fmt: skip


def _with_image(flip: Flip, images: np.ndarray) -> Flip:
    return replace(flip, image=_thumbnail.png_uri(images[flip.index]))
