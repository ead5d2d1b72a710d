"""The Run button, and one card for each job in the queue: how far it is, what ended it, what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets import _run_words
from widgets._every_format import EveryFormat
from widgets._run_card import RunCard
from workbench import queue
from workbench.errors import InvalidInput
from workbench.queue import Entry

if TYPE_CHECKING:
    from widgets.pump import Pump
    from widgets.session import Session

SECONDS_BETWEEN_TICKS = 1.0
MOST_WAITING, MOST_FINISHED = 15, 15  # cards of each; the others are counted
PICKED = ("model", "data", "steps", "format", "metrics", "seed", "layout", "launcher", "card", "runs", "queue")
HINT = '<p class="wb-note">Nothing in the queue. Pick a recipe and press Run: it goes on when this page is closed.</p>'


class WatchRuns:
    """Follows `session.queue`; `badge` is a line with the counts that may be shown elsewhere, too."""

    def __init__(self, session: Session, pump: Pump) -> None:
        self.session, self.pump = session, pump
        self.cards: dict[str, RunCard] = {}
        self.run = ipywidgets.Button(description="Run", icon="play", button_style="primary")
        self.run.on_click(lambda _: pump.do(self._put))
        self.reasons, self.badge, self.more = (ipywidgets.HTML() for _ in range(3))
        self.badge.add_class("wb-badge")
        self.every_format = EveryFormat(session, pump, lambda text: self._say("Run", True, _alert(text)))
        self.clear = ipywidgets.Button(
            description="Clear finished", icon="eraser", tooltip="Take finished entries off this list; the runs stay"
        )
        self.clear.on_click(lambda _: pump.do(self._change, queue.clear_finished))
        self.list = ipywidgets.VBox()
        head = ipywidgets.Box([self.run, self.every_format.button, self.clear], layout={"flex_flow": "row wrap"})
        self.view = ipywidgets.VBox([head, self.reasons, self.every_format.told, self.badge, self.list, self.more])
        self.view.add_class("wb-watch-runs")
        session.observe(lambda _: pump.do(self._judge, key=(self, "judge")), names=list(PICKED))
        session.observe(lambda _: pump.do(self.update, key=(self, "queue")), names="queue")
        pump.every(SECONDS_BETWEEN_TICKS, self._tick)
        self._judge()
        self.update()

    def static(self) -> list[Any]:
        """Return the queue as one table of what was put in and how it stands."""
        from IPython.display import HTML

        entries, now = self.session.queue, _run_words.utc_now()
        lines = "".join(
            f"<tr><td>{_run_words.title_html(entry)}</td><td>{_run_words.facts_html(entry, now)}</td></tr>"
            for entry in entries
        )
        return (
            [HTML(f'<p>{_run_words.counts_text(entries)}</p><table class="wb-table">{lines}</table>')]
            if entries
            else []
        )

    def update(self) -> None:
        """Bring the cards in line with the queue: running first, then what waits, then the latest that ended."""
        entries = self.session.queue
        shown = _worth_a_card(entries)
        for gone in self.cards.keys() - {entry.entry_id for entry in shown}:
            self.cards.pop(gone).close()
        for entry in shown:
            if entry.entry_id not in self.cards:
                self.cards[entry.entry_id] = RunCard(entry, self.pump, self._act)
            elif self.cards[entry.entry_id].entry != entry:
                self.cards[entry.entry_id].update(entry)
        views = tuple(self.cards[entry.entry_id].view for entry in shown)
        if views != self.list.children:
            self.list.children = views
        hidden = len(entries) - len(shown)
        self.badge.value = f'<span role="status">Queue: {_run_words.counts_text(entries)}</span>'
        self.more.value = f'<p class="wb-note">and {hidden} more, not drawn</p>' if hidden else "" if entries else HINT
        self.clear.disabled = not any(entry.finished for entry in entries)

    # ── the Run button ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _judge(self) -> None:
        """Say whether the picked job can run, and what the button would do."""
        problems = self.session.problems()
        self.every_format.update(can_run=not [each for each in problems if not each.startswith("format ")])
        if problems:
            lines = "".join(f"<li>{escape(problem)}</li>" for problem in problems)
            self._say("Run", True, f'<div role="alert">This can\'t run yet:<ul>{lines}</ul></div>')
            return
        job_id = self.session.job().job_id
        under_way = next((entry for entry in self.session.queue if entry.job_id == job_id and not entry.finished), None)
        done = next((run for run in reversed(self.session.runs) if run.job_id == job_id and run.status == "done"), None)
        if under_way is not None:
            self._say("Run", True, f'<p class="wb-note">This job is {under_way.state} already.</p>')
        elif done is not None:
            self._say(
                "Run again", False, f'<p class="wb-note">Done already: <code>{escape(done.run_id)}</code> has it.</p>'
            )
        else:
            self._say("Run", False, "")

    def _say(self, words: str, disabled: bool, reasons: str) -> None:
        self.run.description, self.run.disabled, self.reasons.value = words, disabled, reasons
        self.run.tooltip = "Make another run of the same job" if words == "Run again" else "Put this job into the queue"

    def _put(self) -> None:
        if self.run.disabled:  # a second click that came before the first was done
            return
        self.run.disabled = True
        try:
            queue.put(self.session.job(), self.session.store, again=self.run.description == "Run again")
        except InvalidInput as error:
            self._say("Run", True, _alert(str(error)))
            return
        self.session.refresh()
        self._judge()

    # ── the cards' buttons ──────────────────────────────────────────────────────────────────────────────────────────────

    def _act(self, name: str, entry_id: str) -> None:
        """Do what a card's button says; called where the kernel hears the click."""
        if name == "show":
            self.pump.do(self._show, entry_id)
        elif name in ("up", "down"):
            self.pump.do(self._change, queue.move, entry_id, name == "up")
        else:
            self.pump.do(self._change, {"cancel": queue.cancel, "dismiss": queue.dismiss}[name], entry_id)

    def _show(self, entry_id: str) -> None:
        run_id = self.cards[entry_id].entry.run_id if entry_id in self.cards else None
        if run_id:
            self.session.b = run_id

    def _change(self, function: Any, *args: Any) -> None:
        function(self.session.store, *args)
        self.session.refresh()

    def _tick(self) -> None:
        for card in self.cards.values():
            card.tick()


def _alert(text: str) -> str:
    return f'<div role="alert">{escape(text)}</div>'


def _worth_a_card(entries: Sequence[Entry]) -> list[Entry]:
    running = [entry for entry in entries if entry.state == "running"]
    waiting = [entry for entry in entries if entry.state == "waiting"]
    ended = sorted((entry for entry in entries if entry.finished), key=lambda entry: entry.ended or "", reverse=True)
    return [*running, *waiting[:MOST_WAITING], *ended[:MOST_FINISHED]]
