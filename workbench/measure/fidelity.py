"""How close the outputs stay to those of the parent: needs no labels."""

from __future__ import annotations

from typing import Literal

from workbench.nouns import Measurement
from workbench.params import param
from workbench.part import MeasureContext, Metric


class Fidelity(Metric):
    """Means over examples of cosine and KL(parent ‖ this), and the largest gap of any output, in units of logits.

    Both artifacts answer the same examples. A run without a parent, or that is its own parent, gets no figure: 1, 0 and 0
    by definition would look like a measurement. Samples: `cosine`, `kl`, `gap`, each (n,).
    """

    title = "Fidelity to the parent"
    source = "Kullback & Leibler, Ann. Math. Stat. 22, 1951, eq. 2.4 (nats)"

    split: Literal["validation", "test"] = param("validation", help="Examples that both answer")

    def measure(self, ctx: MeasureContext) -> list[Measurement]:
        if ctx.parent is None:
            ctx.say("no parent to be faithful to: nothing measured")
            return []
        from workbench.measure import _fidelity

        examples = getattr(ctx.data, self.split)
        ctx.say(f"the parent predicts the {self.split} split")
        expected = _fidelity.outputs_of(ctx.open(ctx.parent), examples.inputs)
        apart = _fidelity.apart(ctx.predictions(self.split), expected, examples.targets)
        file = ctx.keep(f"fidelity_{self.split}.npz", **apart)
        where = {"split": self.split}
        gap = Measurement("largest_gap", "logits", "lower", float(apart["gap"].max()), n=len(examples), samples_in=file,
                          conditions={**where, "largest_output": float(abs(expected).max())})  # fmt: skip
        means = [("cosine", "cosine", "1", "higher"), ("kl_divergence", "kl", "nats", "lower")]
        found = []
        for name, key, unit, better in means:
            if key in apart:
                lo, hi = _fidelity.mean_interval(apart[key], ctx.seed)
                found.append(
                    Measurement(name, unit, better, float(apart[key].mean()), lo, hi, "bootstrap95 of mean",  # type: ignore[arg-type]
                                n=len(examples), samples_in=file, conditions=where)
                )  # fmt: skip
        return [*found, gap]
