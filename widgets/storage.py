"""What the runs take on disk: keep to a quota, hand runs to another machine, take runs in."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets import _words
from widgets._aside import aside
from widgets._button import button
from workbench import exchange, tidy, wording
from workbench.errors import InvalidInput

if TYPE_CHECKING:
    from widgets.pump import Pump
    from widgets.session import Session

MOST_ITEMS = 200


class Storage:
    """Plans are shown before anything is removed; what is slow goes on beside the panel."""

    def __init__(self, session: Session, pump: Pump) -> None:
        self.session, self.pump = session, pump
        self.plan: tidy.Plan | None = None  # what is listed and may be carried out
        self.quota = ipywidgets.Text(
            "5GB", description="Quota", tooltip="Bytes that the store may take, as in 500MB or 5GB"
        )
        self.look = button(
            "Show what would go", "search", "Lists what would be removed; removes nothing", self._plan, pump
        )
        self.remove = button("Remove these", "trash", "Removes what is listed, for good", self._remove, pump)
        self.listed = ipywidgets.HTML()
        self.target = ipywidgets.Text(
            "runs.zip", description="File", tooltip="Where to write the runs, or which file to take in"
        )
        self.give = button("Export brushed runs", "upload", "Writes the brushed runs (else B) and their parents to the file", self._export, pump)  # fmt: skip
        self.take = button("Import", "download", "Adds the runs of the file to this store", self._import, pump)
        self.told = ipywidgets.HTML()
        self.remove.disabled = True
        self.view = ipywidgets.VBox(
            [
                ipywidgets.HTML("<h4>Disk quota</h4>"),
                ipywidgets.HBox([self.quota, self.look, self.remove]),
                self.listed,
                ipywidgets.HTML("<h4>Between machines</h4>"),
                ipywidgets.HBox([self.target, self.give, self.take]),
                self.told,
            ]
        )
        self.view.add_class("wb-storage")

    def _plan(self) -> None:
        quota = tidy.size_from(self.quota.value)
        self.listed.value = "<p>looking…</p>"
        aside(self.pump, lambda: tidy.plan(self.session.store, quota_bytes=quota), self._show_plan, self._not_tidied)

    def _show_plan(self, plan: tidy.Plan) -> None:
        self.plan = plan if plan.items and plan.is_enough else None
        self.remove.disabled = self.plan is None
        used, quota = wording.bytes_text(plan.used_bytes), wording.bytes_text(plan.quota_bytes)
        if not plan.items and plan.is_enough:
            self.listed.value = f"<p>The store takes {used}, which is within {quota}: nothing has to go.</p>"
            return
        rows = "".join(
            f"<tr><td>{html.escape(item.kind)} {html.escape(item.name)}</td><td>{wording.bytes_text(item.num_bytes)}</td>"
            f"<td>{html.escape(item.reason)}</td></tr>"
            for item in plan.items[:MOST_ITEMS]
        )
        told = f"From {used} to {wording.bytes_text(plan.left_bytes)}:" if plan.is_enough else tidy.why_not_enough(plan)
        hidden = len(plan.items) - MOST_ITEMS
        more = f"<p>and {hidden} more</p>" if hidden > 0 else ""
        head = "<tr><th>what</th><th>size</th><th>why it may go</th></tr>"
        self.listed.value = (
            f'<p role="status">{html.escape(told)}</p><table class="wb-plain">{head}{rows}</table>{more}'
        )

    def _remove(self) -> None:
        plan, self.plan, self.remove.disabled = self.plan, None, True
        if plan is not None:
            aside(self.pump, lambda: tidy.carry_out(plan), self._removed, self._not_tidied)

    def _not_tidied(self, words: str) -> None:
        self.listed.value = _words.problem(words)

    def _removed(self, done: tidy.Tidied) -> None:
        freed = wording.bytes_text(sum(item.num_bytes for item in done.removed))
        stays = "".join(f"<li>{html.escape(name)} stays: {html.escape(why)}</li>" for name, why in done.refused.items())
        self.listed.value = f'<p role="status">{freed} freed</p><ul>{stays}</ul>'
        self.session.refresh()

    def _export(self) -> None:
        wanted = list(self.session.selected) or [self.session.b]
        if not any(wanted):
            raise InvalidInput(
                ["no run is brushed"], next_move="brush points in the chart or rows in the table, or click one"
            )
        target = Path(self.target.value).expanduser()
        self.told.value = f"<p>writing {html.escape(str(target))}…</p>"
        aside(self.pump, lambda: exchange.export(self.session.store, wanted, target), self._exported, self._not_done)

    def _exported(self, path: Path) -> None:
        size = wording.bytes_text(path.stat().st_size)
        self.told.value = f"<p>{html.escape(str(path.resolve()))} ({size}). On the other machine: <code>workbench import {html.escape(path.name)}</code></p>"  # fmt: skip

    def _import(self) -> None:
        source = Path(self.target.value).expanduser()
        self.told.value = f"<p>reading {html.escape(str(source))}…</p>"
        aside(self.pump, lambda: exchange.import_runs(self.session.store, source), self._imported, self._not_done)

    def _not_done(self, words: str) -> None:
        self.told.value = _words.problem(words)

    def _imported(self, found: Any) -> None:
        self.told.value = f"<p>{len(found.added)} runs added, {len(found.already_there)} were there already</p>"
        self.session.refresh()
