"""What fits the budgets: the count in words, the run to take with why, and why not each other one."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import ipywidgets

from widgets import _words
from workbench import table
from workbench.compare import Choice
from workbench.nouns import Run

if TYPE_CHECKING:
    from widgets.pump import Pump
    from widgets.session import Session

MOST_ROWS = 60  # of the "why not" table; a search narrows it
SHOW, HIDE = "Why not the others", "Hide why not"


class Verdict:
    """Shows a `Choice` that somebody else has made; a click takes the recommended run as b."""

    def __init__(self, session: Session, pump: Pump) -> None:
        self.session, self.pump = session, pump
        self.choice: Choice | None = None
        self.runs: Mapping[str, Run] = {}
        self.text = ipywidgets.HTML()
        self.take = ipywidgets.Button(description="Show it", tooltip="Compare the recommended run with its parent")
        self.take.on_click(lambda _: pump.do(self._take))
        self.open = ipywidgets.ToggleButton(
            description=SHOW, tooltip="Every other run, with the reasons against it", layout={"width": "auto"}
        )
        self.open.observe(lambda _: pump.do(self._fill, key=(self, "fill")), names="value")
        self.search = ipywidgets.Text(
            placeholder="words, as in: int8 latency", description="Search", continuous_update=True
        )
        self.search.observe(lambda _: pump.do(self._fill, key=(self, "fill")), names="value")
        self.against = ipywidgets.HTML()
        self.reasons = ipywidgets.VBox([self.search, self.against])
        self.view = ipywidgets.VBox([self.text, ipywidgets.HBox([self.take, self.open]), self.reasons])
        self.view.add_class("wb-choice")
        self.show(None, [])

    def show(self, choice: Choice | None, runs: Sequence[Run], *, problem: str = "") -> None:
        """Show a choice among `runs`; `problem` says in words why there is none."""
        self.choice, self.runs = choice, {run.run_id: run for run in runs}
        self.text.value = _words.problem(problem) if problem else _verdict(choice, self.runs)
        found = _to_take(choice)
        self.take.layout.display = "" if found else "none"
        self.open.layout.display = "" if choice and choice.why_not else "none"
        self._fill()

    def static(self) -> str:
        """Return everything as HTML, the table of reasons open."""
        rows = _reasons(self.choice, self.runs, "") if self.choice else ""
        return f'<div class="wb-choice">{_verdict(self.choice, self.runs)}{rows}</div>'

    def _fill(self) -> None:
        """Write the table of reasons while it is open."""
        opened = self.open.value and self.choice is not None
        self.open.description = HIDE if opened else f"{SHOW} ({len(self.choice.why_not) if self.choice else 0})"
        self.reasons.layout.display = "" if opened else "none"
        self.against.value = _reasons(self.choice, self.runs, self.search.value) if opened and self.choice else ""

    def _take(self) -> None:
        found = _to_take(self.choice)
        if found:
            self.session.b = found.run_id


def _to_take(choice: Choice | None) -> Run | None:
    return (choice.recommended or choice.unproven) if choice else None


def _verdict(choice: Choice | None, runs: Mapping[str, Run]) -> str:
    if choice is None:
        return '<p class="wb-note">No finished run to choose from yet: pick a recipe and press Run.</p>'
    head = f"<p><b>{html.escape(counted(choice, len(runs)))}</b></p>"
    if choice.recommended:
        head += f'<p><span class="wb-chip wb-good">★ recommended</span> <b>{_named(choice.recommended)}</b></p>'
    else:
        head += '<p><span class="wb-chip wb-bad">✕ nothing fits</span> Loosen a budget, or try another recipe.</p>'
    if choice.unproven and choice.unproven is not choice.recommended:
        head += f'<p><span class="wb-chip wb-open">? not shown</span> {_named(choice.unproven)} fits as measured.</p>'
    return head + f"<ul>{''.join(f'<li>{html.escape(sentence)}</li>' for sentence in choice.why)}</ul>"


def counted(choice: Choice, num_runs: int) -> str:
    """Return how many fit: `7 of 63 fit; 3 more fit as measured, too few examples show it`."""
    if all(value is None for value in choice.budgets.to_json().values()):
        return f"{len(choice.fitting)} of {num_runs} fit: no budget is set"
    told = f"{len(choice.fitting)} of {num_runs} fit"
    if choice.not_shown:
        told += f"; {len(choice.not_shown)} more fit as measured, but too few validation examples show it"
    return told


def _reasons(choice: Choice, runs: Mapping[str, Run], search: str) -> str:
    words = search.lower().split()
    found = []
    for run_id, reasons in choice.why_not.items():
        name, said = _name(runs[run_id]) if run_id in runs else "", "; ".join(reasons)
        if all(word in f"{run_id} {name} {said}".lower() for word in words):
            found.append((f"{html.escape(name)}<br><code>{html.escape(run_id)}</code>", html.escape(said)))
    if not found:
        return _words.note("No run matches these words.")
    more = _words.note(f"{len(found) - MOST_ROWS} more: search to narrow.") if len(found) > MOST_ROWS else ""
    return _words.table(f"Why not the others: {len(found)} runs", ("Run", "Why not"), found[:MOST_ROWS]) + more


def _named(run: Run) -> str:
    return f"{html.escape(_name(run))} <code>{html.escape(run.run_id)}</code>"


def _name(run: Run) -> str:
    return f"{table.model_text(run)}: {table.change_text(run)} ({table.format_text(run)})"
