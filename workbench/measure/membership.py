"""How well somebody who sees a model's losses can tell which examples it was trained on."""

from __future__ import annotations

from typing import Any, Literal

from workbench.measure.quality import IGNORED_TARGET, negative_log_likelihood
from workbench.nouns import DataCard, Examples, Measurement
from workbench.params import param
from workbench.part import MeasureContext, Metric

LOW_RATE = 0.01


class Membership(Metric):
    """The attack of a threshold on the loss: what was trained on has the smaller one. 0.5 is chance, 1 tells all.

    AUC over all thresholds with DeLong's interval, and the share of training examples that the attack finds while it is wrong about 1 % of
    the others (Carlini et al.: the mean hides the few that leak most). A stronger attack may find more: a low figure proves no privacy.
    Both groups come from one data set, so that only training tells them apart. Samples: `members`, `others`, losses in nats.
    """

    title = "Membership inference"
    source = (
        "Yeom et al., arXiv 1709.01604, section 3; Carlini et al., arXiv 2112.03570; DeLong et al., Biometrics 44, 1988"
    )

    others: Literal["validation", "test"] = param("test", help="Examples that the model was not trained on")

    def why_not(self, data: DataCard) -> list[str]:
        return ["the data has no labels: there is no loss to look at"] if data.task == "unlabelled" else []

    def measure(self, ctx: MeasureContext) -> list[Measurement]:
        import numpy as np

        from workbench import compare

        losses = {}
        for group, split in (("members", "train"), ("others", self.others)):
            ctx.say(f"losses of the {split} split")
            losses[group] = _losses(ctx.predictions(split), getattr(ctx.data, split))
        file = ctx.keep(f"membership_{self.others}.npz", **losses)
        members, others = losses["members"], losses["others"]
        auc, lo, hi = compare.auc_interval(-members, -others)
        threshold = np.quantile(others, LOW_RATE, method="lower")
        found = int((members < threshold).sum())
        where = {"members": len(members), "others": len(others), "split": self.others}
        low, high = compare.wilson(found, len(members))
        return [
            Measurement("membership_auc", "AUC", "lower", auc, lo, hi, "delong95", n=len(members) + len(others),
                        samples_in=file, conditions=where),
            Measurement("membership_found", "share", "lower", found / len(members), low, high, "wilson95", found,
                        len(members), file, {**where, "false_positive_rate": LOW_RATE}),
        ]  # fmt: skip


def _losses(outputs: Any, examples: Examples) -> Any:
    """Return the mean loss of each example in nats, (N,): over its positions where there are several."""
    counted = (examples.targets != IGNORED_TARGET).reshape(len(examples), -1)
    each = negative_log_likelihood(outputs, examples.targets).reshape(len(examples), -1)
    return each.sum(axis=1) / counted.sum(axis=1).clip(1)
