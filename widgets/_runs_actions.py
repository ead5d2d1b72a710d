"""What can be done with the runs that are picked in the table: compare, mark, take over their recipe, delete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets import _words
from widgets._aside import aside
from widgets._runs_rows import in_words
from workbench import marks
from workbench.errors import InvalidInput
from workbench.nouns import Run

if TYPE_CHECKING:
    from widgets.pump import Pump
    from widgets.session import Session

NOTHING = "Click a row to pick a run; with Shift or Ctrl, several."
TOLD_RUNS = 5


class RunsActions:
    """`picked` are the runs that every button works on; a button that can't be used says why in its tooltip."""

    def __init__(self, session: Session, pump: Pump, on_deleted: Callable[[], None]) -> None:
        self.session, self.pump, self.on_deleted = session, pump, on_deleted
        self.picked: list[Run] = []
        self._in_question: list[str] = []  # run ids that a yes deletes
        self.facts, self.told, self.asked = (ipywidgets.HTML() for _ in range(3))
        self.as_a = self._button("As A", "Compare other runs with this one", self._as_a)
        self.as_b = self._button("As B", "Show this run in the other panels", self._as_b)
        self.parent = self._button("A: its parent", "Compare with the parent of B again", self._with_parent)
        self.recipe = self._button("Use this recipe", "Take model, data and steps of this run over", self._use_recipe)
        self.pin = self._button("Pin", "Never delete or tidy away", self._pin)
        self.delete = self._button("Delete …", "Remove these runs for good, after a question", self._ask)
        self.tags = ipywidgets.Text(placeholder="tag, as in: good", tooltip="One or more tags, with blanks between")
        self.tag = self._button("Tag", "Give these runs the tags", lambda: self._tag(add=True))
        self.untag = self._button("Untag", "Take the tags away", lambda: self._tag(add=False))
        self.note = ipywidgets.Text(placeholder="note", tooltip="A note on this run", layout={"width": "260px"})
        self.keep_note = self._button("Save note", "Keep the note with the run", self._save_note)
        self.sure = self._button("Delete for good", "There is no way back", self._delete)
        self.force = self._button(
            "Delete anyway", "Also though other runs were measured against them", self._delete_by_force
        )
        self.no = self._button("Keep them", "Nothing is deleted", lambda: self._put_question(""))
        self.question = ipywidgets.Box([self.asked, self.sure, self.force, self.no])
        rows = (
            [self.as_a, self.as_b, self.parent, self.recipe, self.pin, self.delete],
            [self.tags, self.tag, self.untag, self.note, self.keep_note],
        )
        boxes = [ipywidgets.Box(row, layout={"flex_flow": "row wrap", "overflow": "visible"}) for row in rows]
        self.view = ipywidgets.VBox([self.facts, *boxes, self.question, self.told])
        self.view.add_class("wb-runs-actions")
        self._put_question("")
        self.show([])

    def show(self, picked: Sequence[Run]) -> None:
        """Work on these runs from now on."""
        if [run.run_id for run in picked] != [run.run_id for run in self.picked]:
            self._put_question("")  # it was about others
            self.note.value = self._marks(picked[0]).note if len(picked) == 1 else ""
            self.told.value = "" if picked else self.told.value
        self.picked = list(picked)
        self.facts.value = self._in_words()
        one, some = len(picked) == 1, bool(picked)
        is_done = one and picked[0].status == "done"
        for button, usable in (
            (self.as_a, is_done), (self.as_b, one), (self.recipe, one), (self.parent, bool(self.session.a)),
            (self.pin, some), (self.delete, some), (self.tag, some), (self.untag, some), (self.keep_note, one),
        ):  # fmt: skip
            button.disabled = not usable
        self.pin.description = "Unpin" if some and all(self._marks(run).pinned for run in picked) else "Pin"

    def _in_words(self) -> str:
        if not self.picked:
            return _words.note(NOTHING)
        if len(self.picked) > 1:
            names = ", ".join(run.run_id for run in self.picked[:TOLD_RUNS])
            more = f" and {len(self.picked) - TOLD_RUNS} more" if len(self.picked) > TOLD_RUNS else ""
            return f"<b>{len(self.picked)} runs picked:</b> {escape(names + more)}"
        run = self.picked[0]
        said = (f"{name}: {text}" for name, text in in_words(run, self._marks(run)).items() if text)
        return f"<code>{escape(run.run_id)}</code> {escape(' · '.join(said))}"

    def _marks(self, run: Run) -> marks.Marks:
        return self.session.marks.get(run.run_id, marks.NONE)

    def _button(self, words: str, tip: str, act: Callable[[], None]) -> ipywidgets.Button:
        button = ipywidgets.Button(description=words, tooltip=tip, layout={"width": "auto"})
        button.add_class("wb-small")
        button.on_click(lambda _: self.pump.do(self._carry_out, act))
        return button

    def _carry_out(self, act: Callable[[], None]) -> None:
        """Do what a button says, and tell in words what stands against it."""
        self.told.value = ""
        try:
            act()
        except InvalidInput as error:
            self.told.value = _words.problem(str(error))

    # ── one run ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _as_a(self) -> None:
        self.session.a = self.picked[0].run_id

    def _as_b(self) -> None:
        self.session.b = self.picked[0].run_id

    def _with_parent(self) -> None:
        self.session.a = ""

    def _use_recipe(self) -> None:
        self.session.set_job(self.picked[0].job)
        self.told.value = _words.note(f"The recipe of {self.picked[0].run_id} is picked.")

    def _save_note(self) -> None:
        self._mark(note=self.note.value)

    # ── some runs ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _tag(self, *, add: bool) -> None:
        words = self.tags.value.replace(",", " ").split()
        if not words:
            raise InvalidInput(["no tag is given"], next_move="type a word such as good or round-2")
        self._mark(**{"add_tags" if add else "remove_tags": words})
        self.tags.value = ""

    def _pin(self) -> None:
        self._mark(pinned=self.pin.description == "Pin")

    def _mark(self, **changes: Any) -> None:
        for run in self.picked:
            marks.mark(self.session.store, run.run_id, **changes)
        self.session.refresh()

    def _ask(self) -> None:
        names = self.picked[0].run_id if len(self.picked) == 1 else f"these {len(self.picked)} runs"
        self._put_question(f"Delete {names} for good?")

    def _put_question(self, words: str, *, force: bool = False) -> None:
        self._in_question = [run.run_id for run in self.picked] if words else []
        self.asked.value = f'<div role="alert"><b>{escape(words)}</b></div>' if words else ""
        self.question.layout.display = "flex" if words else "none"
        _words.show(self.sure, not force)
        _words.show(self.force, force)

    def _delete(self, *, force: bool = False) -> None:
        """Delete aside: folders of many runs take a while."""
        going, store = self._in_question, self.session.store
        if not going:  # other runs were picked before the click was heard
            return
        self._put_question("")
        self.told.value = _words.waiting(f"deleting {len(going)} …")
        aside(self.pump, lambda: store.delete(*going, force=force), lambda _: self._deleted(going),
              lambda words: self._refused(going, words))  # fmt: skip

    def _delete_by_force(self) -> None:
        self._delete(force=True)

    def _deleted(self, gone: list[str]) -> None:
        self.session.selected = tuple(name for name in self.session.selected if name not in gone)
        self.session.a = "" if self.session.a in gone else self.session.a
        self.session.b = "" if self.session.b in gone else self.session.b
        self.session.refresh()
        self.told.value = _words.note(f"{len(gone)} deleted.")
        self.on_deleted()

    def _refused(self, kept: list[str], words: str) -> None:
        self.told.value = _words.problem(words)
        if "is needed by" in words and kept == [run.run_id for run in self.picked]:  # never others by force
            self._put_question("Delete them anyway?", force=True)
