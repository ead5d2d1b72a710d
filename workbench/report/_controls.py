"""Whether a step did more than its control: the same student without a teacher, and the like."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from workbench.compare import PairedAccuracy, _samples, paired_accuracy
from workbench.errors import ArtifactError
from workbench.nouns import Run
from workbench.report._groups import Group

SPLITS = ("validation", "test")


def controls(groups: Sequence[Group]) -> str:
    """Hold every run against the controls that it recorded, example by example; "" when no run has any."""
    lines = "".join(
        _line(group, run, str(name))
        for group in groups
        for run in group.runs
        for name in run.controls
        if run.status == "done"
    )
    if not lines:
        return ""
    heads = ("Run", "Control", "Validation: run, control", "Difference", "Test: run, control", "Difference")
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    return (
        "<p>A control is made inside its run: same initial weights, same batches, as many updates, without what the step adds. "
        "Differences are run − control in points, paired on the same examples, with 95% intervals.</p>"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'
    )


def _line(group: Group, run: Run, name: str) -> str:
    cells = ""
    for split in SPLITS:
        paired = _paired(run, name, split)
        if paired is None:
            cells += "<td>–</td><td>not kept</td>"
            continue
        right, alone = paired.both + paired.only_b, paired.both + paired.only_a
        cells += f"<td>{right / paired.n:.1%}, {alone / paired.n:.1%}<small>n = {paired.n}</small></td><td>{_difference(paired)}</td>"
    return f"<tr><td>{escape(group.name)}: {escape(group.short(run))}</td><td>{escape(name.replace('_', ' '))}</td>{cells}</tr>"


def _paired(run: Run, name: str, split: str) -> PairedAccuracy | None:
    """Return control (a) against run (b); None when one kept no class outputs on the split."""
    try:
        answers = _samples.answers(run, split)
        outputs = _samples.arrays(run, "controls.npz").get(f"{name}_{split}_outputs")
    except ArtifactError:
        return None
    if outputs is None or outputs.shape != answers.outputs.shape:
        return None
    return paired_accuracy(_samples.Answers(outputs, answers.targets).correct, answers.correct)


def _difference(paired: PairedAccuracy) -> str:
    verdict = paired.verdict.replace("b is", "the run is")
    return f"{100 * paired.difference:+.2f} [{100 * paired.lo:+.2f}, {100 * paired.hi:+.2f}]<small>{verdict}</small>".replace(
        "-", "−"
    )
