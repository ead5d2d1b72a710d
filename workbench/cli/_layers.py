"""The command that looks into an artifact, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from workbench.cli._options import HERE, Json, Store


def layers(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run id, or its beginning")],
    against: Annotated[str | None, typer.Option(metavar="RUN", help="Compare weights with this run; default: the parent")] = None,
    store: Store = HERE,
    json: Json = False,
) -> None:  # fmt: skip
    """Show what each layer of a saved artifact holds: bytes, zeros, error against its parent, time in the runtime.

    \b
    --json: {"schema", "run", "against": run id or null, "layers": [{"layer", "kind", "shape", "precision", "num_params", "bytes",
      "nonzero", "sqnr_db", "cosine", "ms", "hist_before", "hist_after", "hist_edges", "note", "conditions"}]}; null = not known
    """
    from workbench import diagnose
    from workbench.cli._input import find_run
    from workbench.cli._text import say_json
    from workbench.store import Store as RunStore

    runs = RunStore(store)
    found = find_run(runs, run)
    other = against or found.parent
    parent = find_run(runs, other) if other else None
    facts = diagnose.layer_facts(found, parent)
    if json:
        say_json({"run": found.run_id, "against": parent.run_id if parent else None, "layers": facts})
    else:
        _say(found.run_id, parent.run_id if parent else "", facts)


def _say(run: str, parent: str, facts: Sequence[Mapping[str, Any]]) -> None:
    from workbench.cli._text import console, or_dash, say_rows

    head = ("layer", "kind", "shape", "stored as", "bytes", "non-zero", "SQNR dB", "cosine", "ms", "")
    rows = [
        (row["layer"], row["kind"], " × ".join(map(str, row["shape"])) or "–", row["precision"] or "–", f"{row['bytes']:,}",
         f"{row['nonzero'] / max(1, row['num_params']):.1%}", or_dash(row["sqnr_db"], ".1f"), or_dash(row["cosine"], ".5f"), or_dash(row["ms"], ".4f"),
         row["note"])
        for row in facts
    ]  # fmt: skip
    title = run + (f" against {parent}" if parent else "")
    say_rows(head, rows, title=title, numbers=head[4:9])
    timed = next((row["conditions"] for row in facts if row["conditions"]), None)
    if timed:
        told = ", ".join(f"{name} {value}" for name, value in timed.items())
        console().print(f"ms: median of the runtime's profiler, microseconds resolved; {told}", markup=False)
