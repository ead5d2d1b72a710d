"""How right the saved model is, with the number of examples behind every figure."""

from __future__ import annotations

from typing import Any

from workbench.nouns import DataCard, Examples, Measurement
from workbench.part import MeasureContext, Metric

IGNORED_TARGET = -100


class Quality(Metric):
    """Accuracy (k/n, Wilson interval), precision, recall and F1; perplexity and bits per byte for language models.

    Both the validation split (which choosing may read) and the test split (which is only reported) are measured on the
    saved artifact; every prediction is kept for paired comparisons.
    """

    title = "Quality"
    source = "Wilson 1927 for the interval; scikit-learn for precision, recall and F1"

    def why_not(self, data: DataCard) -> list[str]:
        return ["the data has no labels; use metric fidelity"] if data.task == "unlabelled" else []

    def measure(self, ctx: MeasureContext) -> list[Measurement]:
        found = []
        for split in ("validation", "test"):
            ctx.say(f"predicting the {split} split")
            outputs, examples = ctx.predictions(split), getattr(ctx.data, split)
            if ctx.data_card.task == "language-modelling":
                found += _language(ctx, split, outputs, examples)
            else:
                found += _classes(ctx, split, outputs, examples)
        return found


def _classes(ctx: MeasureContext, split: str, outputs: Any, examples: Examples) -> list[Measurement]:
    import numpy as np
    from sklearn.metrics import precision_recall_fscore_support

    from workbench import compare

    file = ctx.keep(
        "predictions.npz", **{f"{split}_outputs": outputs.astype(np.float32), f"{split}_targets": examples.targets}
    )
    predicted, labels = outputs.argmax(-1), np.arange(ctx.data_card.num_classes)
    k, n = int((predicted == examples.targets).sum()), len(examples)
    lo, hi = compare.wilson(k, n)
    where = {"split": split}
    found = [Measurement("accuracy", "share", "higher", k / n, lo, hi, "wilson95", k, n, file, where)]
    each = precision_recall_fscore_support(examples.targets, predicted, labels=labels, zero_division=0.0)
    for name, values in zip(("precision", "recall", "f1"), each):
        present = values[np.isin(labels, examples.targets)]  # a class that isn't there says nothing
        found.append(Measurement(f"{name}_macro", "share", "higher", float(present.mean()), n=n, conditions=where))
        for label, value, support in zip(labels, values, each[3]):
            if support:
                named = {**where, "label": ctx.data_card.labels[label] if ctx.data_card.labels else str(label)}
                found.append(Measurement(name, "share", "higher", float(value), n=int(support), conditions=named))
    return found


def _language(ctx: MeasureContext, split: str, outputs: Any, examples: Examples) -> list[Measurement]:
    """Perplexity = exp(mean nll); bits per byte = mean nll / ln 2 (a token is a byte). Interval: sequences resampled."""
    import numpy as np

    nll = negative_log_likelihood(outputs, examples.targets)
    file = ctx.keep("predictions.npz", **{f"{split}_nll": nll.astype(np.float32), f"{split}_targets": examples.targets})
    counted = examples.targets != IGNORED_TARGET
    sums, counts = (nll * counted).sum(-1), counted.sum(-1)
    random = np.random.default_rng(ctx.seed)
    picks = random.integers(0, len(sums), (2000, len(sums)))
    means = sums[picks].sum(-1) / counts[picks].sum(-1)
    lo, hi = (float(end) for end in np.quantile(means, (0.025, 0.975)))
    mean, n = float(sums.sum() / counts.sum()), int(counts.sum())
    rows = (("perplexity", "1", np.exp), ("bits_per_byte", "bits", lambda value: value / np.log(2)))
    return [
        Measurement(name, unit, "lower", float(f(mean)), float(f(lo)), float(f(hi)), "bootstrap95 of sequences", n=n,
                    samples_in=file, conditions={"split": split})
        for name, unit, f in rows
    ]  # fmt: skip


def negative_log_likelihood(outputs: Any, targets: Any) -> Any:
    """Return −log p(target) in nats, (N, T), from logits (N, T, V); 0 where the target is ignored."""
    import numpy as np
    from scipy.special import logsumexp

    counted = targets != IGNORED_TARGET
    chosen = np.take_along_axis(outputs, np.where(counted, targets, 0)[..., None], axis=-1)[..., 0]
    return np.where(counted, logsumexp(outputs, axis=-1) - chosen, 0.0)
