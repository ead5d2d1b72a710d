"""The command that looks at this machine: workbench doctor."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.cli._options import HERE, Json, Store, exit_unless


def doctor(
    store: Store = HERE,
    again: Annotated[bool, typer.Option("--again", help="Measure the ceilings anew")] = False,
    json: Json = False,
) -> None:
    """Look at this machine and installation; measure what one thread can do at most (once, seconds).

    \b
    --json: {"schema", "ok", "findings": [{"name", "status": PASS|WARN|FAIL, "found", "fix"}], "ceilings":
      {"machine", "float32_gflops", "float32_row_gflops", "bfloat16_…", "int8_…", "read_gb_per_s", "call_us"}}
    """
    from workbench import ceilings
    from workbench import doctor as doctors
    from workbench.cli import _pages as pages
    from workbench.cli._text import say_json

    findings = doctors.examine(store)
    record = doctors.to_json(findings, ceilings.obtain(again=again))
    if json:
        say_json(record)
    else:
        pages.say_findings(findings, record["ceilings"])
    exit_unless(record["ok"])
