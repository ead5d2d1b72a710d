"""One step of a recipe: what it is, its parameters, what stands against it, and what it changes in the estimate."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets

from widgets.form import Do, Form
from workbench import catalog
from workbench.params import describe

# What can be done to a row → the icon of its button.
ACTIONS = {"up": "arrow-up", "down": "arrow-down", "duplicate": "clone", "remove": "trash"}


class StepRow:
    """`on_change(row, record)` is told what a person sets, `on_action(row, action)` which button was pressed."""

    def __init__(
        self,
        record: dict[str, Any],
        *,
        on_change: Callable[[StepRow, dict[str, Any]], None],
        on_action: Callable[[StepRow, str], None],
        do: Do,
    ) -> None:
        self.part, self.record, self._on_change = catalog.get("compress", record["use"]), record, on_change
        self.form = Form(self.part, record, on_change=self._edited, do=do)
        self.title, self.reasons, self.line = (ipywidgets.HTML() for _ in range(3))
        self.reasons.add_class("wb-message")
        self.line.add_class("wb-estimate")
        self.buttons = {action: self._button(action, icon) for action, icon in ACTIONS.items()}
        for action, button in self.buttons.items():
            button.on_click(lambda _, action=action: do(on_action, self, action))
        head = ipywidgets.HBox([self.title, ipywidgets.HBox(list(self.buttons.values())).add_class("wb-buttons")])
        self.view = ipywidgets.VBox([head.add_class("wb-step-head"), self.form.view, self.reasons, self.line])
        self.view.add_class("wb-step").add_class(f"wb-step-{self.part.name()}")

    def show(self, record: dict[str, Any]) -> None:
        """Take over a record that was changed elsewhere."""
        if record != self.record:
            self.record = record
            self.form.set(record)

    def place(self, index: int, count: int) -> None:
        """Say which step of how many this is."""
        told = html.escape((self.part.__doc__ or "").strip())
        self.title.value = f'<span class="wb-step-title" title="{told}"><b>{index + 1}.</b> {self.part.title}</span>'
        self.buttons["up"].disabled = index == 0
        self.buttons["down"].disabled = index == count - 1
        for action, button in self.buttons.items():
            button.tooltip = f"{action} step {index + 1}, {self.part.title}"

    def suggest(self, layers: Sequence[str], runs: Sequence[str]) -> None:
        """Offer layers for `skip`, and runs where another model is a parameter."""
        for spec in describe(self.part):
            if spec.name == "skip":
                self.form.suggest(spec.name, layers)
            elif spec.kind == "part":
                self.form.suggest(spec.name, runs)

    def tell(self, reasons: Sequence[str], line: str, *notes: str) -> None:
        """Show what stands against this step, beside the parameter where there is one, what it changes, and notes."""
        known = set(self.form.problems)
        rest = self.form.tell([reason for reason in reasons if reason not in known])
        text = "".join(f"<div>{html.escape(reason)}</div>" for reason in [*self.part.missing(), *rest])
        self.reasons.value = f'<div class="wb-problem" role="alert">{text}</div>' if text else ""
        self.reasons.layout.display = None if text else "none"
        small = "".join(f'<span class="wb-note">{html.escape(note)}</span>' for note in notes)
        self.line.value = f"<span>{html.escape(line)}</span>{small}"

    def _edited(self, record: dict[str, Any]) -> None:
        self._on_change(self, record)

    def _button(self, action: str, icon: str) -> ipywidgets.Button:
        button = ipywidgets.Button(description=action, icon=icon, layout={"width": "auto"})
        return button.add_class("wb-small").add_class(f"wb-{action}")
