"""Which format of one recipe answers first, where a recipe was carried out in several."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from workbench import study, table
from workbench.compare import Fastest
from workbench.nouns import Run
from workbench.report._groups import Group
from workbench.store import Store


def formats(groups: Sequence[Group]) -> str:
    """Say for each recipe in several formats which is the fastest and why; "" when there is no such recipe."""
    lines = "".join(
        _line(group, members) for group in groups for members in study.recipes_in_several_formats(group.runs)
    )
    if not lines:
        return ""
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("Recipe", "Fastest", "Why", "Others"))
    return (
        "<p>Ratios are of times taken alternately in the same processes, or through the one file that was timed with both. A "
        "format that loses more than a point on validation against the best of them can't win.</p>"
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>'
    )


def _line(group: Group, members: Sequence[Run]) -> str:
    found = study.which_is_fastest(members, Store(Path(members[0].folder).parent), measure=False)
    winner = escape(table.format_text(found.winner)) if found.winner else "–"
    recipe = f"{escape(group.name)}: {escape(group.short(members[0]))}<small>seed {members[0].job.get('seed')}</small>"
    return f"<tr><td>{recipe}</td><td><b>{winner}</b></td><td>{escape(' '.join(found.why))}</td><td>{_others(found)}</td></tr>"


def _others(found: Fastest) -> str:
    return "<br>".join(f"{escape(rival.format)}: {escape(rival.reason)}" for rival in found.rivals)
