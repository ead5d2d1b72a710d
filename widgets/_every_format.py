"""The button that runs a recipe in every format that can hold it, and the line that says which answers first."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

import ipywidgets

from workbench import queue, study
from workbench.errors import InvalidInput, WorkbenchError

if TYPE_CHECKING:
    from widgets.pump import Pump
    from widgets.session import Session
    from workbench.nouns import Run


class EveryFormat:
    """`told` is empty until two formats of the picked recipe have finished runs."""

    def __init__(self, session: Session, pump: Pump, refused: Callable[[str], None]) -> None:
        self.session, self.refused = session, refused
        self.button = ipywidgets.Button(
            description="In every format",
            icon="forward",
            tooltip="Put this recipe into the queue once per format that holds it",
        )
        self.button.on_click(lambda _: pump.do(self._put))
        self.told = ipywidgets.HTML()
        self._known: dict[tuple[str, ...], str] = {}  # run ids → verdict: bootstraps are not for every turn of a knob

    def update(self, *, can_run: bool) -> None:
        """Follow the session: whether the button can be pressed, and the verdict on what is finished."""
        self.button.disabled = not can_run
        runs = self._finished() if can_run else []
        told = self._verdict(runs) if len(runs) > 1 else ""
        if told != self.told.value:
            self.told.value = told

    def _finished(self) -> list[Run]:
        wanted = {**self.session.job().to_json(), "format": None, "launcher": None}
        alike = [
            run
            for run in self.session.runs
            if run.status == "done" and {**run.job, "format": None, "launcher": None} == wanted
        ]
        return list({run.job_id: run for run in alike}.values())  # the newest of each format

    def _verdict(self, runs: list[Run]) -> str:
        key = tuple(run.run_id for run in runs)
        if key not in self._known:
            try:
                found = study.which_is_fastest(runs, self.session.store, measure=False)
                self._known[key] = f'<p class="wb-note">{escape(" ".join(found.why))}</p>'
            except WorkbenchError as error:
                self._known[key] = (
                    f'<p class="wb-note">Which format is fastest isn\'t known: {escape(error.message)}</p>'
                )
        return self._known[key]

    def _put(self) -> None:
        self.button.disabled = True
        try:
            able, _ = study.in_each_format(self.session.job().to_json())
            queue.put(able, self.session.store)
        except InvalidInput as error:
            self.refused(str(error))
            return
        self.session.refresh()
