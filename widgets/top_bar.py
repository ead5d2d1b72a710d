"""The line on top: model, data, machine, what runs, which budgets hold; and what went wrong last, in words."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets.pump import words_of
from workbench import machine, wording

if TYPE_CHECKING:
    from widgets.pump import Pump
    from widgets.session import Session

LIMITS = (
    ("max_latency_ms", "≤ {:g} ms"),
    ("max_drop", "drop ≤ {:g} points"),
    ("max_bytes", "≤ {}"),
    ("max_memory_bytes", "memory ≤ {}"),
    ("min_accuracy", "accuracy ≥ {:.1%}"),
)
WATCHED = ("model", "data", "budgets", "queue", "runs", "store_folder")


class TopBar:
    """One line of facts, one line for an error that can be put away."""

    def __init__(self, session: Session, pump: Pump) -> None:
        self.session, self.pump = session, pump
        self.facts = ipywidgets.HTML()
        self.message = ipywidgets.HTML()
        self.away = ipywidgets.Button(description="Put away", tooltip="Hide this message", icon="times")
        self.away.on_click(lambda _: pump.do(self.tell, ""))
        self.alert = ipywidgets.HBox([self.message, self.away], layout={"display": "none"})
        self.alert.add_class("wb-alert")
        self.view = ipywidgets.VBox([self.facts, self.alert])
        self.view.add_class("wb-top-bar")
        session.observe(lambda _: pump.do(self.update, key=self), names=list(WATCHED))
        self.update()

    def update(self) -> None:
        """Say where the session stands."""
        self.facts.value = "".join(
            f'<span class="wb-fact"><b>{label}</b> {html.escape(text)}</span>' for label, text in self._facts()
        )

    def tell_error(self, error: Exception) -> None:
        """Show what went wrong, until the next error or until it is put away."""
        self.tell(words_of(error))

    def tell(self, text: str) -> None:
        """Show a message; empty text hides the line."""
        self.message.value = f'<div role="alert">{html.escape(text)}</div>' if text else ""
        self.alert.layout.display = "flex" if text else "none"

    def _facts(self) -> list[tuple[str, str]]:
        session, here = self.session, machine.facts()
        states = [entry.state for entry in session.queue]
        waiting, running = states.count("waiting"), states.count("running")
        return [
            ("Model", _part_words(session.model)),
            ("Data", _part_words(session.data)),
            ("Machine", f"{here['cpu']}, {here['cores']} cores, {wording.bytes_text(here['memory_bytes'])}"),
            ("Runs", f"{len(session.runs)} kept · {running} running, {waiting} waiting"),
            ("Budgets", budget_words(session.budgets)),
        ]


def budget_words(budgets: dict[str, Any]) -> str:
    """Return the limits that are set, as in `≤ 0.05 ms, drop ≤ 1 points`."""
    told = []
    for name, form in LIMITS:
        value = budgets.get(name)
        if value is not None:
            told.append(form.format(wording.bytes_text(value) if name.endswith("bytes") else value))
    return ", ".join(told) or "none set"


def _part_words(record: dict[str, Any]) -> str:
    return str(record.get("use", "none"))
