"""The quiz on the page: ten menus and one button; handed in, each question says whether it was right, and why."""

from __future__ import annotations

from typing import Any

import ipywidgets

from widgets import _lesson_html as page
from widgets import _words
from workbench.errors import InvalidInput
from workbench.lessons import quiz
from workbench.lessons.progress import Progress
from workbench.lessons.words import Words


def questions_html(language: str) -> str:
    """Return the questions with their choices, for where there is nobody to touch a menu."""
    pieces = []
    for name, own in quiz.words(language).items():
        choices = "".join(f"<li>{page.marked(f'`{key}` {text}')}</li>" for key, text in own["choices"].items())
        pieces.append(page.paragraph(f"**{name}** {own['ask']}") + f"<ul>{choices}</ul>")
    return "".join(pieces)


def marked_html(words: Words, marked: quiz.Marked, tries: int) -> str:
    """Return how many were right, and for each wrong answer why another one is."""
    told = quiz.words(words.language)
    kind = "wb-ok" if not marked.wrong else "wb-try_again"
    lines = "".join(f"<dt>{name}</dt><dd>{page.marked(told[name]['why'])}</dd>" for name in marked.wrong)
    count = words.word("quiz_right", right=marked.num_right, of=len(quiz.RIGHT), tries=tries)
    return f'<section role="status" class="wb-found {kind}">{page.paragraph(f"**{count}**")}<dl class="wb-said">{lines}</dl></section>'


class Asked:
    """The menus; `controls` is what to show."""

    def __init__(self, words: Words, progress: Progress) -> None:
        self.words, self.progress = words, progress
        own = quiz.words(words.language)
        self.menus = {name: self._menu(each) for name, each in own.items()}
        self.hand_in = ipywidgets.Button(description=words.word("hand_in"), icon="check")
        self.hand_in.on_click(lambda _: self._handed_in())
        self.told = ipywidgets.HTML()
        rows: list[Any] = []
        for name, each in own.items():
            rows += [ipywidgets.HTML(page.paragraph(f"**{name}** {each['ask']}")), self.menus[name]]
        self.controls = [*rows, self.hand_in, self.told]

    def _menu(self, own: Any) -> ipywidgets.Dropdown:
        options = [(self.words.word("choose"), None), *((text, key) for key, text in own["choices"].items())]
        return ipywidgets.Dropdown(options=options, layout={"width": "100%", "max_width": "720px"})

    def _handed_in(self) -> None:
        try:
            marked = quiz.mark({name: menu.value for name, menu in self.menus.items()})
        except InvalidInput as error:
            _words.say(self.told, _words.problem(str(error)))
            return
        _words.say(self.told, marked_html(self.words, marked, self.progress.quizzed(marked)["tries"]))
