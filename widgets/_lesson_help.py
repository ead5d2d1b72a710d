"""Hints in three levels and the solution on request: both are noted, neither is punished."""

from __future__ import annotations

import ipywidgets

from widgets import _lesson_html as page
from widgets import _words
from workbench.lessons import catalog
from workbench.lessons.progress import Progress
from workbench.lessons.words import Words


def hints_html(words: Words, name: str, level: int) -> str:
    """Return the hints of an exercise up to a level."""
    return "".join(
        f'<p class="wb-lesson-hint"><b>{page.marked(words.word("hint", level=each))}</b> {page.marked(words.hint(name, each))}</p>'
        for each in range(1, level + 1)
    )


def solution_html(words: Words, name: str) -> str:
    return f"<h4>{page.marked(words.word('solution'))}</h4>{page.code(catalog.exercise(name).solution)}"


class Help:
    """Two buttons below a verdict; hints that were taken are there again after the next check.

    Neither is ever disabled: it would lose the focus, and Shift + Enter would go nowhere.
    """

    def __init__(self, words: Words, progress: Progress, name: str) -> None:
        self.words, self.progress, self.name = words, progress, name
        self.level, self.is_asked = progress.exercise(name).get("hints", 0), False
        self.more = ipywidgets.Button(description=words.word("more_hint"), icon="lightbulb-o")
        self.solve = ipywidgets.Button(description=words.word("show_solution"), icon="eye")
        self.hints, self.solution = ipywidgets.HTML(), ipywidgets.HTML()
        self.more.on_click(lambda _: self._hint())
        self.solve.on_click(lambda _: self._solution())
        row = ipywidgets.Box([self.more, self.solve])
        row.add_class("wb-flow")
        self.controls = [row, self.hints, self.solution]
        self._show_hints()

    def _hint(self) -> None:
        self.level = min(self.level + 1, self._num_hints())
        self.progress.hinted(self.name, self.level)
        self._show_hints()

    def _show_hints(self) -> None:
        _words.say(self.hints, hints_html(self.words, self.name, self.level))
        if self.level == self._num_hints():
            self.more.description = self.words.word("hint", level=self.level)

    def _num_hints(self) -> int:
        return len(self.words.exercise(self.name)["hints"])

    def _solution(self) -> None:
        if not self.is_asked:
            self.is_asked, self.solve.description = True, self.words.word("sure")
            return
        self.progress.saw_solution(self.name)
        _words.say(self.solution, solution_html(self.words, self.name))
        self.solve.description = self.words.word("solution")
