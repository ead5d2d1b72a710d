"""Makes a store fit a quota: says in which order what would go, and why the rest stays; then does it.

What is worth least goes first: what killed processes left, states that can be computed again, comparisons and marks of
runs that are gone, and last the oldest runs that nobody pinned, tagged or needs. Nothing goes while the store fits.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workbench import marks
from workbench._deleting import needs
from workbench._removable import Item, Known, weigh
from workbench.errors import ArtifactError, InvalidInput
from workbench.store import DRAFT, Store, disk_errors
from workbench.wording import bytes_text

UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


@dataclass(frozen=True)
class Kept:
    """Why some runs stay."""

    reason: str
    num_runs: int
    num_bytes: int


@dataclass(frozen=True)
class Plan:
    """What has to go, in this order, so that a store fits its quota."""

    root: Path
    quota_bytes: int
    used_bytes: int
    items: tuple[Item, ...]
    kept: tuple[Kept, ...] = ()  # when that is not enough: why the other runs stay, the most bytes first

    @property
    def left_bytes(self) -> int:
        return self.used_bytes - sum(item.num_bytes for item in self.items)

    @property
    def is_enough(self) -> bool:
        return self.left_bytes <= self.quota_bytes


@dataclass(frozen=True)
class Tidied:
    """What went, and what did not because something had changed since the plan was made."""

    removed: tuple[Item, ...]
    refused: Mapping[str, str]  # name → reason


def size_from(text: str) -> int:
    """Return the bytes of a size as people write it: 5GB (10⁹), 5 GiB (2³⁰), 500MB, 1000."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", text.lower().replace("bytes", "b"))
    if not found or (found[3] and not found[2]):
        raise InvalidInput([f"{text!r} is not a size"], next_move="write it as in 5GB, 500MB or 2.5GiB")
    return int(float(found[1]) * (1024 if found[3] else 1000) ** UNITS[found[2]])


def plan(store: Store, *, quota_bytes: int, keep_days: float | None = None) -> Plan:
    """Return what would go; runs that ended within `keep_days` stay (None = age protects no run that is done)."""
    problems = [f"quota_bytes={quota_bytes:,} is negative"] if quota_bytes < 0 else []
    problems += [f"keep_days={keep_days:g} is negative"] if keep_days is not None and keep_days < 0 else []
    if problems:
        raise InvalidInput(problems)
    used = left = weigh(store.root).num_bytes
    if used <= quota_bytes:
        return Plan(store.root, quota_bytes, used, ())
    known, items = Known(store, keep_days), list[Item]()
    for item in known.in_order():
        if left <= quota_bytes:
            break
        items.append(item)
        left -= item.num_bytes
    kept = _kept(known, {item.name for item in items}) if left > quota_bytes else ()
    return Plan(store.root, quota_bytes, used, tuple(items), kept)


def carry_out(planned: Plan) -> Tidied:
    """Remove what a plan names; what was marked or became needed meanwhile stays.

    Raises InvalidInput, and removes nothing, when the plan does not reach its quota.
    """
    if not planned.is_enough:
        raise InvalidInput([why_not_enough(planned)], next_move="unpin or untag runs, or set a larger quota")
    store, removed, refused = Store(planned.root), list[Item](), dict[str, str]()
    going = {item.name for item in planned.items}
    ties = {run.run_id: needs(run) for run in (*store.runs(), *store.drafts()) if run.status != "lost"}
    needed = set[str]().union(*(tied for run_id, tied in ties.items() if run_id not in going))
    for item in planned.items:
        if reason := _remove(store, item, needed):
            refused[item.name] = reason
            needed |= ties.get(item.name, set())  # its parents come after it
        else:
            removed.append(item)
    return Tidied(tuple(removed), refused)


def why_not_enough(planned: Plan) -> str:
    """Return in words why a store can't be made to fit."""
    kept = [
        f"{bytes_text(each.num_bytes)} in {each.num_runs} run{'s' * (each.num_runs > 1)} ({each.reason})"
        for each in planned.kept
    ]
    other = planned.left_bytes - sum(each.num_bytes for each in planned.kept)
    kept += [f"{bytes_text(other)} in work under way and files of the store itself"] if other else []
    return (
        f"{bytes_text(planned.left_bytes)} must stay, the quota is {bytes_text(planned.quota_bytes)}: {', '.join(kept)}"
    )


def _kept(known: Known, gone: set[str]) -> tuple[Kept, ...]:
    """Group the runs that stay by the reason."""
    found: dict[str, Kept] = {}
    for run_id, run in known.runs.items():
        if run_id not in gone:
            reason = known.fixed.get(run_id, "needed by runs that stay")
            before = found.get(reason, Kept(reason, 0, 0))
            num_bytes = before.num_bytes + weigh(Path(run.folder)).num_bytes
            found[reason] = Kept(reason, before.num_runs + 1, num_bytes)
    return tuple(sorted(found.values(), key=lambda each: -each.num_bytes))


def _remove(store: Store, item: Item, needed: set[str]) -> str:
    """Remove one thing; returns why it was not, empty when it is gone."""
    if item.kind == "run" or item.path.name.startswith(DRAFT):
        if item.name in needed:
            return "a run that stays needs it"
        try:
            if marks.read(store, item.name).tags:
                return "it was tagged meanwhile"
            store.delete(item.name, force=True)  # ties were looked at for all runs at once
        except (InvalidInput, ArtifactError) as error:
            return error.message
        return ""
    with disk_errors(item.path):
        if item.path.is_dir():
            shutil.rmtree(item.path, ignore_errors=True)  # another process may be removing it too
        else:
            item.path.unlink(missing_ok=True)
        if item.kind == "state":
            item.path.with_suffix(".lock").unlink(missing_ok=True)
    return ""
