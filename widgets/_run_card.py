"""One entry of the queue as a card whose widgets stay the same while the run goes on: only texts change."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

import ipywidgets

from widgets import _run_words
from widgets._aside import aside
from widgets._closing import close_all
from widgets._run_log import RunLog
from workbench.queue import Entry

if TYPE_CHECKING:
    from widgets.pump import Pump

# Name → (words, icon, tooltip). What a button does is `act(name, entry id)`.
BUTTONS = {
    "cancel": ("Cancel", "stop", "Stop this run, or take it out of the queue"),
    "up": ("", "arrow-up", "Run it earlier"),
    "down": ("", "arrow-down", "Run it later"),
    "show": ("Show", "eye", "Compare this run with its parent"),
    "dismiss": ("Dismiss", "times", "Take it off this list; the run stays"),
}
FOR_STATE = {"waiting": ("cancel", "up", "down"), "running": ("cancel",), "done": ("show", "dismiss")}
ENDED_BADLY = ("dismiss",)


class RunCard:
    """Shows one entry; what it knows of the disk is read aside."""

    def __init__(self, entry: Entry, pump: Pump, act: Callable[[str, str], None]) -> None:
        self.entry, self.pump, self.act = entry, pump, act
        self.log = RunLog()
        self._reading = False
        self.title, self.facts, self.curve, self.told = (ipywidgets.HTML() for _ in range(4))
        self.told.layout.display = "none"
        self.buttons: dict[str, ipywidgets.Button] = {}
        self.open = ipywidgets.ToggleButton(
            description="Log", icon="align-left", tooltip="What this run has told so far", layout={"width": "70px"}
        )
        self.open.observe(lambda _: pump.do(self._unfold, key=(self, "log")), names="value")
        self.row = ipywidgets.Box(layout={"flex_flow": "row wrap"})
        self.view = ipywidgets.VBox([self.title, self.facts, self.curve, self.row, self.told])
        self.view.add_class("wb-run-card")
        self.update(entry)

    def update(self, entry: Entry) -> None:
        """Show how the entry stands now; a widget whose text stays the same sends nothing."""
        ended = self.entry.state == "running" and entry.finished
        self.entry = entry
        self.title.value = _run_words.title_html(entry)
        self.facts.value = _run_words.facts_html(entry, _run_words.utc_now())
        self._lay_out_buttons()
        if ended:
            self.look()  # once more: the last words are those that matter

    def tick(self) -> None:
        """Let time pass: the seconds of a running entry, its curve and its open log; nothing changes for others."""
        if self.entry.state == "running":
            self.facts.value = _run_words.facts_html(self.entry, _run_words.utc_now())
            self.look()

    def look(self) -> None:
        """Read what is new on disk, aside."""
        if self._reading or not self.entry.log:
            return
        self._reading, entry, opened = True, self.entry, self.open.value

        def read() -> list[str]:
            log = self.log.look(entry)
            return [*log.lines, *(log.printed(entry) if opened else ())]

        aside(self.pump, read, self._looked, lambda words: self._looked([words]))

    def close(self) -> None:
        """Free the widgets, here and in the page."""
        close_all([self.view, self.open, *self.buttons.values()])

    def _looked(self, lines: list[str]) -> None:
        self._reading = False
        self.curve.value = _run_words.sparkline(self.log.losses, "loss")
        if self.open.value:
            text = "\n".join(lines) or "nothing told yet"
            self.told.value = f'<pre class="wb-log" tabindex="0" aria-label="log">{escape(text)}</pre>'

    def _unfold(self) -> None:
        self.told.layout.display = "" if self.open.value else "none"
        if self.open.value:
            self.told.value = self.told.value or '<span class="wb-note">reading…</span>'
            self.look()

    def _lay_out_buttons(self) -> None:
        names = FOR_STATE.get(self.entry.state, ENDED_BADLY)
        if self.entry.for_job and self.entry.state == "waiting":
            names = ("cancel",)  # it goes where the job goes that needs it
        if self.entry.run_id and self.entry.state in ("failed", "cancelled"):  # a lost one left no record to show
            names = ("show", *names)
        wanted = [self._button(name) for name in names]
        if "cancel" in names:
            self.buttons["cancel"].disabled = self.entry.cancelling
        children = (*wanted, self.open) if self.entry.log else tuple(wanted)
        if children != self.row.children:
            self.row.children = children

    def _button(self, name: str) -> ipywidgets.Button:
        if name not in self.buttons:
            words, icon, tip = BUTTONS[name]
            self.buttons[name] = ipywidgets.Button(
                description=words, icon=icon, tooltip=tip, layout={"width": "auto" if words else "36px"}
            )
            self.buttons[name].on_click(lambda _: self.act(name, self.entry.entry_id))
        return self.buttons[name]
