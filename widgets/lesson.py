"""One lesson in a notebook: predict, act, observe, decide. What is asked, checked and kept comes from `workbench.lessons`.

lesson = Lesson("01")
lesson.predict("01.p1")                  # locked once given; in code: lesson.predict("01.p1", 380)
lesson.ask("01.1")                       # the question
lesson.check("01.1", model_bytes)        # OK, TRY AGAIN or NOT ATTEMPTED; never raises for a wrong answer
lesson.observe("01.p1", measured)        # the prediction beside what came out
"""

from __future__ import annotations

import atexit
from datetime import datetime
from pathlib import Path
from typing import Any

from widgets import _lesson_html as page
from widgets import _lesson_paper as papers
from widgets import _lesson_questions as questions
from widgets import _lesson_quiz as quizzes
from widgets import _words
from widgets._lesson_help import Help, hints_html, solution_html
from widgets._lesson_page import show, show_style
from widgets.headless import is_headless
from widgets.static_view import renderer
from workbench.errors import InvalidInput
from workbench.lessons import answer as answers
from workbench.lessons import catalog, quiz, rehearsal
from workbench.lessons.checker import Checker
from workbench.lessons.progress import Progress
from workbench.lessons.words import Words

_checkers: list[Checker] = []  # the one of this kernel


def checker() -> Checker:
    """Return the kernel's one checker; its process ends with the kernel."""
    if not _checkers:
        _checkers.append(Checker())
        atexit.register(_checkers[0].close)
    return _checkers[0]


class Lesson:
    """A lesson's calls, each for one cell; `progress_file` keeps what was done, and is the only thing that is written."""

    def __init__(self, number: str, *, language: str = "en", progress_file: str | Path = "progress.json") -> None:
        self.lesson = catalog.lesson(number)
        self.words = Words(self.lesson, language)
        self.kept = Progress(Path(progress_file).absolute())
        self._texts: dict[str, str] = {}  # exercise → the answer's text, as last checked
        self._verdicts: dict[str, str] = {}  # exercise → what was found of that

    def begin(self) -> None:
        """Put the styles on the page, choose how charts are shown, say how far this lesson is, and warm up the checks meanwhile."""
        checker().warm(self.lesson.exercises)
        renderer()
        show_style()
        self.progress()
        if measured := rehearsal.known().get(self.lesson.number):
            show(page.paragraph(self.words.word("runs_in", seconds=round(measured.seconds))))

    def ask(self, name: str) -> None:
        """Show what an exercise asks for."""
        exercise, own = catalog.exercise(name), self.words.exercise(name)
        self.kept.opened(name)
        facts = [self.words.word("minutes", minutes=exercise.minutes)]
        facts += [self.words.word("bonus")] if exercise.is_bonus else []
        facts += [self.words.word("bug")] if exercise.is_bug else []
        show(page.question(f"{name} · {own['title']}", facts, own["ask"]))

    def check(self, name: str, given: Any, *, debug: bool = False) -> None:
        """Judge an answer and show the verdict; `debug` adds the traceback of what it raised."""
        exercise = catalog.exercise(name)
        try:
            text = answers.text_of(exercise, given)
        except InvalidInput as error:
            show(_words.problem(str(error)))
            return
        self._texts[name] = text
        finding = checker().check_text(exercise, text)
        self.kept.checked(name, finding)
        self._verdicts[name] = finding.verdict
        told = page.verdict(self.words, self.words.said(exercise, finding), finding)
        told += page.code(finding.traceback) if debug and finding.traceback else ""
        show(told, [] if finding.verdict == "ok" else Help(self.words, self.kept, name).controls)

    def hint(self, name: str, level: int = 1) -> None:
        """Show the hints of an exercise up to a level, 1 to 3."""
        self.words.hint(name, level)
        self.kept.hinted(name, level)
        show(hints_html(self.words, name, level))

    def solution(self, name: str, *, sure: bool = False) -> None:
        """Show the solution; asks once."""
        catalog.exercise(name)
        if not sure:
            show(page.paragraph(f"{self.words.word('sure')} {self.words.word('sure_code', id=name)}"))
            return
        self.kept.saw_solution(name)
        show(solution_html(self.words, name))

    def reset(self, name: str) -> None:
        """Keep the checked answer in a dated file and put the starter into a new cell below."""
        from IPython import get_ipython

        exercise = catalog.exercise(name)
        self.kept.was_reset(name)
        told = self.words.word("reset_nothing")
        if name in self._texts:
            path = self.kept.path.parent / "kept" / f"{name}-{datetime.now():%Y%m%d-%H%M%S}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(self._texts[name], encoding="utf-8")
            told = self.words.word("reset_done", path=f"{path.parent.name}/{path.name}")
        show(page.paragraph(told))
        get_ipython().set_next_input(exercise.starter.strip("\n"))

    def predict(self, name: str, value: Any = None) -> None:
        """Ask for a prediction; with `value` it is given and locked. None = ask with controls."""
        self._answer(
            name,
            value,
            "predict_code",
            repr(catalog.question(name).choices[0]) if catalog.question(name).choices else "1.0",
        )

    def decide(self, name: str, value: Any = None) -> None:
        """Ask for a decision: one choice per field; with `value` it is given and locked. None = ask with controls."""
        fields = catalog.question(name).fields
        self._answer(name, value, "decide_code", ", ".join(f'"{field}": "{keys[0]}"' for field, keys in fields.items()))

    def _answer(self, name: str, value: Any, word: str, example: str) -> None:
        question, ask = catalog.question(name), self.words.question(name)["ask"]
        if value is None:
            code = self.words.word(word, id=name, example=example.replace("'", '"'))
            told = page.paragraph(ask) + f'<p class="wb-note">{page.marked(code)}</p>'
            show(told, questions.Asked(self.words, self.kept, question).controls)
            return
        if found := questions.problems(question, value):
            show(page.paragraph(ask) + _words.problem("; ".join(found)))
            return
        try:
            value = self.kept.lock(name, value)["value"]
        except InvalidInput as error:
            show(page.paragraph(ask) + _words.problem(str(error)))
            return
        told = f"**{self.words.word('locked')}:** {self.words.answer(question, value)}"
        show(page.paragraph(ask) + page.paragraph(told))

    def observe(self, name: str, measured: Any) -> None:
        """Show a prediction beside what was measured, and keep both."""
        kept = self.kept.measured(name, measured)
        show(questions.comparison(self.words, catalog.question(name), kept))

    def carry_on(self, name: str, given: Any) -> Any:
        """Return the answer where it has passed its check, else the solution, and say so: nobody stays behind."""
        exercise = catalog.exercise(name)
        if self._verdicts.get(name) == "ok":
            return given
        show(page.paragraph(self.words.word("carried_on", id=name)))
        space: dict[str, Any] = {}
        exec(exercise.solution, space)
        return space[exercise.answer]

    def quiz(self, answers: Any = None) -> None:
        """Ask ten questions over all lessons; `answers` by question (`{"q1": "b", …}`) hands them in. None = ask with controls."""
        if answers is None:
            if is_headless():
                show(quizzes.questions_html(self.words.language) + page.paragraph(self.words.word("quiz_code")))
            else:
                show("", quizzes.Asked(self.words, self.kept).controls)
            return
        try:
            marked = quiz.mark(answers)
        except InvalidInput as error:
            show(_words.problem(str(error)))
            return
        show(quizzes.marked_html(self.words, marked, self.kept.quizzed(marked)["tries"]))

    def reproduce(self, name: str, value: float) -> None:
        """Show a paper's row beside what was measured here, and whether its claim holds."""
        show(papers.card(self.words, catalog.paper(name), value))

    def progress(self) -> None:
        """Show how far this lesson is."""
        show(_progress_html(self.words, self.kept.record()["exercises"]))


def _progress_html(words: Words, kept: dict[str, Any]) -> str:
    lesson, own = words.lesson, words.own
    solved = [each for each in lesson.exercises if kept.get(each.id, {}).get("verdict") == "ok"]
    dots = " ".join(
        f'<span class="wb-dot wb-{kept.get(each.id, {}).get("verdict", "not_attempted")}" title="{each.id}">{each.id}</span>'
        for each in lesson.exercises
    )
    head = f"<h4>{page.marked(lesson.number)} · {page.marked(own['title'])}</h4>"
    count = f"{len(solved)} / {len(lesson.exercises)} {words.word('solved')}"
    return f"{head}{page.paragraph(own['goal'])}<p>{dots} {page.marked(count)}</p>"
