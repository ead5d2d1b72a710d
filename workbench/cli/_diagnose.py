"""The command that looks for the cause of a drop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli._options import HERE, Json, Store

if TYPE_CHECKING:
    from workbench.diagnose import Calibration, Diagnosis


def diagnose(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run id, or its beginning")],
    layers: Annotated[int, typer.Option(min=1, max=100, help="How many of the worst layers to try changes on")] = 2,
    store: Store = HERE,
    json: Json = False,
) -> None:
    """Find the layers that the last step harmed, what is unusual there, and what a change brings: each is carried out.

    \b
    --json: {"schema", "run_id", "before", "step", "drop": {"value", "lo", "hi", "unit"}, "suspects": [{"layer", "kl", "drop",
      "evidence", "causes"}], "remedies": [{"what", "why", "layer", "run_id", "brought", "refused"}]}; null = not known
    """
    from workbench.cli._input import find_run
    from workbench.cli._progress import RunProgress
    from workbench.cli._text import say_json
    from workbench.diagnose import diagnose_drop
    from workbench.store import Store as RunStore

    runs = RunStore(store)
    found_run = find_run(runs, run)
    with RunProgress() as progress:
        found = diagnose_drop(found_run, runs, num_layers=layers, on_event=progress)
    if json:
        say_json(found.to_json())
    else:
        _say(found)


def calibration(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run id, or its beginning")],
    counts: Annotated[str, typer.Option(metavar="N,N,…", help="Numbers of calibration examples; all of them are added")] = "8,16,32,64",
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Choices of examples at each number")] = 5,
    store: Store = HERE,
    json: Json = False,
) -> None:  # fmt: skip
    """Find out how many calibration examples are enough for a run's step, and how much it matters which ones.

    \b
    --json: {"schema", "run_id", "before", "step", "float_share", "num_validation", "counts": [{"num_examples", "shares" by seed,
      "most_classes_missing"}], "enough"}; shares are of validation examples answered right
    """
    from workbench.cli._input import find_run
    from workbench.cli._progress import RunProgress
    from workbench.cli._text import say_json
    from workbench.diagnose import calibration_lab
    from workbench.errors import InvalidInput
    from workbench.store import Store as RunStore

    words = [word.strip() for word in counts.split(",")]
    if not all(word.isdigit() and int(word) for word in words):
        raise InvalidInput([f"counts: {counts!r} is no list of whole numbers, as in 8,32,128"])
    runs = RunStore(store)
    found_run = find_run(runs, run)
    with RunProgress() as progress:
        found = calibration_lab(found_run, runs, counts=list(map(int, words)), seeds=seeds, on_event=progress)
    if json:
        say_json(found.to_json())
    else:
        _say_calibration(found)


def _say_calibration(found: Calibration) -> None:
    from workbench.cli._text import console, say_rows

    head = ("examples", "right, worst choice", "right, best choice", "choices", "classes missing")
    rows = [
        (f"{each.num_examples}", f"{each.band[0]:.2%}", f"{each.band[1]:.2%}", f"{len(each.shares)}", f"{each.most_classes_missing}")
        for each in found.counts
    ]  # fmt: skip
    say_rows(head, rows, title=f"{found.step} on validation; {found.float_share:.2%} before it", numbers=head)
    console().print(
        f"{found.enough} are enough: no choice of them is more than one of {found.num_validation} examples worse than all.",
        markup=False,
    )


def _say(found: Diagnosis) -> None:
    from workbench.cli._text import console, or_dash, say_rows

    drop = found.drop
    console().print(
        f"{found.step}: {drop.value:+.2f} [{drop.lo:+.2f}, {drop.hi:+.2f}] {drop.unit} lost on validation against {found.before}",
        markup=False,
    )
    say_rows(
        ("layer", "KL alone", "lost alone", "unusual"),
        [(each.layer, or_dash(each.kl, ".4f"), or_dash(each.drop, "+.2f"), "; ".join(each.causes) or "nothing") for each in found.suspects],
        title="Each layer alone, worst first", numbers=("KL alone", "lost alone"),
    )  # fmt: skip
    rows = [
        (f"{each.layer} {each.what}".strip(),
         f"{-each.brought.value:+.2f} [{-each.brought.hi:+.2f}, {-each.brought.lo:+.2f}]" if each.brought else "–",
         each.run_id or each.refused)
        for each in found.remedies
    ]  # fmt: skip
    say_rows(("change", f"gained, {drop.unit}", "run"), rows, title="What a change brought", numbers=())
