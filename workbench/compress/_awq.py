"""AWQ: scale up the weights that meet large activations, so that they are rounded more finely.

Departures from the paper: errors come from the Gram matrix of the inputs, exactly, instead of from kept outputs; ranges are
clipped only with `search_range`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from workbench.compress import _activations, _flow
from workbench.errors import WorkbenchError
from workbench.nouns import Examples

POWERS = [index / 20 for index in range(20)]  # α that are tried; 0 = every factor is 1
SMALLEST = 1e-4  # factor

Rounded = Callable[[Tensor], Tensor]  # weight (outputs, inputs) → the same on its grid


def scale(model: nn.Module, layers: Sequence[str], examples: Examples, rounded: Rounded) -> int:
    """Multiply input j of the layers by mean |X_j|^α where something before them can be divided by it; in place.

    α makes the squared error of their outputs least (eq. 5). Returns how many layers were scaled; raises when none can be.
    """
    places = _flow.feeds(model, examples, list(layers))
    if not places:
        raise WorkbenchError(
            "no layer's inputs can be scaled: awq folds factors into a normalisation or layer that only such layers read",
            next_move="method=gptq, or rtn",
        )
    for feed in places:
        sizes = _activations.of_channels(model, feed.users, examples, repeat=feed.repeat, largest=False)
        grams = {name: _activations.reduced(model, name, examples, _activations.gram)[0] for name in feed.users}

        def error(factors: Tensor, feed: _flow.Feed = feed, grams: dict[str, Tensor] = grams) -> float:
            wide, total = factors.repeat_interleave(feed.repeat), 0.0
            for name, gram in grams.items():
                weight = model.get_submodule(name).get_parameter("weight").detach()
                lost = (rounded(weight * wide) / wide - weight).double()
                total += float(((lost @ gram) * lost).sum())
            return total

        _flow.move(model, feed, min((_factors(sizes, power) for power in POWERS), key=error))
    return len({name for feed in places for name in feed.users})


def _factors(sizes: Tensor, power: float) -> Tensor:
    """Return sizes^power around 1, as the authors' code centres them."""
    raised = sizes.pow(power).clamp(min=SMALLEST)
    return raised / (raised.max() * raised.min()).sqrt()
