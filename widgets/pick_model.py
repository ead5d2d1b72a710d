"""Picks the model and its data, and says what is known of both before anything runs."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets._aside import aside
from widgets._card_words import data_words, model_words
from widgets._refusals import always_refused, refused_list
from widgets.form import pick_one
from workbench import catalog
from workbench.describe import model_card
from workbench.errors import InvalidInput, WorkbenchError
from workbench.job import Job
from workbench.nouns import DataCard, ModelCard
from workbench.part import Model

if TYPE_CHECKING:
    from widgets.pump import Pump
    from widgets.session import Session

LOOKING = "looking at the model …"


class PickModel:
    """The session's model and data; a card that only a worker can make is fetched aside and put into the session."""

    def __init__(self, session: Session, pump: Pump) -> None:
        self.session, self.pump = session, pump
        self._asked: Any = None  # the records whose card was asked of a worker last
        self.model = pick_one("zoo", self._set_model, pump.do, name="model", help="What is to be compressed")
        self.data = pick_one("data", self._set_data, pump.do, name="data", help="What it learns from and is judged on")
        self.trouble, self.data_trouble = (ipywidgets.HTML().add_class("wb-message") for _ in range(2))
        self.again = ipywidgets.Button(description="Look again", icon="refresh", layout={"width": "auto"})
        self.again.tooltip = "Read the model's files again"
        self.again.on_click(lambda _: pump.do(self._look_again))
        self.card, self.data_card, self.refused = (ipywidgets.HTML().add_class("wb-card") for _ in range(3))
        self.view = self._laid_out()
        session.observe(lambda _change: pump.do(self.update, key=self.update), names=["model", "data", "card"])
        self.update()

    def update(self) -> None:
        """Show the session as it is now."""
        self.model.show(self.session.model)
        self.data.show(self.session.data)
        data_card = self._show_data()
        reasons = self._reasons(data_card) if data_card else []
        self._say(reasons)
        card = self.session.card
        self.card.value = model_words(card) if card else ""
        if data_card and not reasons and card is None:
            self._fetch()

    def _show_data(self) -> DataCard | None:
        """Say what the data are; returns None when they can't be read or their values are illegal."""
        try:
            card = catalog.make("data", self.session.data).card()  # type: ignore[attr-defined]
        except WorkbenchError as error:
            told = "" if self.data.form and self.data.form.problems else str(error)
            self.data_trouble.value, self.data_card.value = _alert([told] if told else []), ""
            return None
        self.data_trouble.value, self.data_card.value = "", data_words(card)
        refused = refused_models(card)
        self.model.refuse(refused)
        self.refused.value = refused_list(f"models can't take {card.name}", refused)
        return card

    def _reasons(self, data: DataCard) -> list[str]:
        """Return what stands against the picked model, apart from what its form says beside its values."""
        try:
            model = catalog.make("zoo", self.session.model)
        except InvalidInput as error:
            return [] if self.model.form and self.model.form.problems else list(error.problems)
        assert isinstance(model, Model)
        return model.missing() or model.why_not(data)

    def _fetch(self, *, again: bool = False) -> None:
        """Have a worker make the card, once for the same records."""
        wanted = {"model": self.session.model, "data": self.session.data}
        if self.model.form and self.model.form.problems or (wanted == self._asked and not again):
            return
        self._asked = wanted
        self.card.value = f'<div class="wb-note" role="status">{LOOKING}</div>'

        def take(found: ModelCard | str) -> None:
            self._take(wanted, found)

        aside(self.pump, lambda: model_card(Job.from_json(wanted)), take, take)

    def _take(self, wanted: Any, found: ModelCard | str) -> None:
        """Take over the worker's answer, unless something else was picked meanwhile."""
        if wanted != {"model": self.session.model, "data": self.session.data}:
            return
        if isinstance(found, ModelCard):
            self.session.card = found
            return
        self.card.value = ""
        self._say([found])

    def _look_again(self) -> None:
        self._asked = None
        self.session.card = None
        self.update()

    def _say(self, reasons: list[str]) -> None:
        self.trouble.value = _alert(reasons)
        self.again.layout.display = None if reasons else "none"

    def _set_model(self, record: dict[str, Any]) -> None:
        self.session.model = record

    def _set_data(self, record: dict[str, Any]) -> None:
        self.session.data = record

    def _laid_out(self) -> ipywidgets.VBox:
        head = ipywidgets.HTML('<h3 class="wb-head">Model and data</h3>')
        model = ipywidgets.VBox(self.model.widgets).add_class("wb-row").add_class("wb-pick-zoo")
        data = ipywidgets.VBox(self.data.widgets).add_class("wb-row").add_class("wb-pick-data")
        rest = [self.trouble, self.again, self.card, self.refused, data, self.data_trouble, self.data_card]
        return ipywidgets.VBox([head, model, *rest]).add_class("wb-pick-model")


def refused_models(data: DataCard) -> dict[str, list[str]]:
    """Return, for each model of the zoo, what stands against it on these data whatever its parameters are."""

    def reasons_of(model: Model) -> list[str]:
        return model.why_not(data)

    return {part.name(): always_refused(part, reasons_of) for part in catalog.parts("zoo")}


def _alert(reasons: list[str]) -> str:
    lines = "".join(f"<div>{html.escape(reason)}</div>" for reason in reasons)
    return f'<div class="wb-problem" role="alert">{lines}</div>' if lines else ""
