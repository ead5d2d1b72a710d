"""Adds a step to a recipe: the whole catalog, where those that fit nowhere now say why."""

from __future__ import annotations

import html
import sys
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets

from widgets._judged import Place
from widgets._refusals import refused_list
from widgets.form import Do, blank_record
from workbench import catalog

LAST = Place(sys.maxsize)  # while nothing is known of a recipe, steps go to its end


class AddStep:
    """`on_add(index, record)` gets the defaults of what was picked and its place; a refused step answers with reasons."""

    def __init__(self, on_add: Callable[[int, dict[str, Any]], None], do: Do) -> None:
        self._on_add = on_add
        self._places: dict[str, Place] = {}
        self.menu = ipywidgets.Dropdown(
            description="add a step", options=self._options(), layout={"width": "auto"},
            style={"description_width": "initial"}, tooltip="Steps of the catalog; those with ✗ fit nowhere now",
        )  # fmt: skip
        self.button = ipywidgets.Button(description="Add", icon="plus", layout={"width": "auto"})
        self.button.tooltip = "Add this step to the recipe"
        self.button.add_class("wb-add").on_click(lambda _: do(self._add))
        self.note, self.list = ipywidgets.HTML().add_class("wb-message"), ipywidgets.HTML()
        row = ipywidgets.HBox([self.menu, self.button]).add_class("wb-add-step")
        self.view = ipywidgets.VBox([row, self.note, self.list])

    def offer(self, places: Mapping[str, Place]) -> None:
        """Take over where each step can go."""
        if places == self._places:
            return
        self._places, before = dict(places), self.menu.value
        allowed = [name for name, place in places.items() if not place.reasons]
        with self.menu.hold_sync():
            self.menu.options = self._options()
            self.menu.value = before if before in allowed or not allowed else allowed[0]
        self.list.value = refused_list("steps fit nowhere now", {name: place.reasons for name, place in places.items()})
        self._say("")

    def _options(self) -> list[tuple[str, str]]:
        return [(self._entry(part.name(), part.title), part.name()) for part in catalog.parts("compress")]

    def _entry(self, name: str, title: str) -> str:
        place = self._places.get(name, LAST)
        end = max((each.index for each in self._places.values()), default=0)
        where = f", before step {place.index + 1}" if place.index < end else ""
        return f"{'✗ ' if place.reasons else ''}{title} ({name}){where}"

    def _add(self) -> None:
        place = self._places.get(self.menu.value, LAST)
        self._say(f"{self.menu.value}: {'; '.join(place.reasons)}" if place.reasons else "")
        if not place.reasons:
            self._on_add(place.index, blank_record(catalog.get("compress", self.menu.value)))

    def _say(self, text: str) -> None:
        self.note.value = f'<div class="wb-problem" role="alert">{html.escape(text)}</div>' if text else ""
