"""The command that looks for the cause of a drop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli._options import HERE, Json, Store

if TYPE_CHECKING:
    from workbench.diagnose import Diagnosis


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
