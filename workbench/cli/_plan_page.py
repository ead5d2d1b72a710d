"""What `workbench gc` prints: the plan as a page and as the record of `--json`."""

from __future__ import annotations

from typing import Any

import typer

from workbench.cli._text import say_rows
from workbench.tidy import Plan, Tidied, why_not_enough
from workbench.wording import bytes_text


def plan_record(planned: Plan, done: Tidied) -> dict[str, Any]:
    return {
        "quota_bytes": planned.quota_bytes, "used_bytes": planned.used_bytes, "left_bytes": planned.left_bytes,
        "is_enough": planned.is_enough,
        "items": [
            {"kind": each.kind, "name": each.name, "bytes": each.num_bytes, "reason": each.reason} for each in planned.items
        ],
        "kept": [{"reason": each.reason, "runs": each.num_runs, "bytes": each.num_bytes} for each in planned.kept],
        "removed": [item.name for item in done.removed], "refused": done.refused,
    }  # fmt: skip


def say_plan(planned: Plan, done: Tidied) -> None:
    used, quota = bytes_text(planned.used_bytes), bytes_text(planned.quota_bytes)
    if not planned.items and planned.is_enough:
        typer.echo(f"the store takes {used}, which is within {quota}: nothing has to go")
        return
    if planned.items:
        rows = [(each.kind, each.name, bytes_text(each.num_bytes), each.reason) for each in planned.items]
        say_rows(("removed" if done.removed else "would go", "", "size", "because"), rows, numbers=("size",))
    if not planned.is_enough:
        typer.echo(f"that is not enough: {why_not_enough(planned)}")
        typer.echo("→ unpin or untag runs, or set a larger quota; nothing was removed")
        return
    for name, reason in done.refused.items():
        typer.echo(f"· {name} stays: {reason}")
    if done.removed:
        freed = bytes_text(sum(each.num_bytes for each in done.removed))
        typer.echo(f"{freed} of {used} were freed")
    else:
        typer.echo(f"from {used} to {bytes_text(planned.left_bytes)}; --yes does it")
