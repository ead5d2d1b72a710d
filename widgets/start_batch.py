"""Starts a batch: notebooks over a grid of their parameters, or the study of what the view shows, and follows it.

The runner is a process of its own. Closing the page or restarting the kernel stops looking, not the batch.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING

import ipywidgets

from widgets import _words
from widgets._button import button
from widgets._grid_controls import GridControls
from widgets._then_controls import ThenControls
from widgets.watch_batch import WatchBatch
from workbench import copy_as
from workbench.errors import InvalidInput, WorkbenchError
from workbench.job import Job
from workbench.lab import notebooks_folder
from workbench.store import disk_errors

if TYPE_CHECKING:
    from widgets.pump import Pump
    from widgets.session import Session
    from workbench.batch.api import Started
    from workbench.batch.estimate import Estimate

SECONDS_BETWEEN_LOOKS = 1.0
STUDY, STORE = "20_compare.ipynb", "store_folder"
FIRST = "00_tour.ipynb"


class StartBatch:
    """What is wrong with a grid is said before anything runs; the command that does the same is beside it."""

    def __init__(self, session: Session, pump: Pump) -> None:
        self.session, self.pump = session, pump
        self.started: Started | None = None
        self.watching: WatchBatch | None = None
        self._given: dict[str, str] = {}  # what is to be filled in for the notebook that is read next
        folder = notebooks_folder()
        known = [str(path) for path in sorted(folder.rglob("*.ipynb"))]
        self.notebook = ipywidgets.Combobox(
            value=str(folder / FIRST), options=known, description="Notebook",
            tooltip="Any notebook; a cell tagged `parameters` declares what can be varied", continuous_update=False,
            layout={"width": "min(560px, 100%)"},
        )  # fmt: skip
        self.of_view = button("Study of the view", "filter", "The recipe (or the brushed runs) as a study, on the comparing notebook", self._take_view, pump)  # fmt: skip
        self.then = ThenControls(known, lambda: pump.do(self._read_on, key="then"))
        self.grid = GridControls(lambda: pump.do(self.update, key=self))
        self.out = ipywidgets.Text(
            description="Folder", tooltip="Where the batch is kept; the same folder again goes on", continuous_update=False,
            layout={"width": "min(560px, 100%)"},
        )  # fmt: skip
        self.jobs = ipywidgets.BoundedIntText(
            0, min=0, max=256, description="Side by side", tooltip="Rows at a time; 0 = as cores and memory allow",
            style={"description_width": "auto"}, layout={"width": "150px"},
        )  # fmt: skip
        self.start = button("Start", "play", "Execute what is not done yet, one process each", self._start, pump)
        self.look = button("Look at the folder", "eye", "Show the batch in the folder as it stands", self._look, pump)
        self.start.button_style = "primary"
        self.told, self.command = ipywidgets.HTML(), ipywidgets.HTML()
        self.live = ipywidgets.VBox()
        which, where = ipywidgets.Box([self.notebook, self.of_view]), ipywidgets.Box([self.out, self.jobs])
        buttons = ipywidgets.Box([self.start, self.look])
        for row in (which, where, buttons):
            row.add_class("wb-flow")
        self.view = ipywidgets.VBox(
            [which, self.then.view, self.grid.view, where, self.told, self.command, buttons, self.live]
        )
        self.view.add_class("wb-batch")
        self.notebook.observe(lambda _: pump.do(self._read, key="notebook"), names="value")
        for control in (self.out, self.jobs):
            control.observe(lambda _: pump.do(self.update, key=self), names="value")
        pump.every(SECONDS_BETWEEN_LOOKS, self._follow)

    def on_shown(self) -> None:
        """Read the notebook when the tab is opened first."""
        if not self.told.value:
            self._read()

    def close(self) -> None:
        """Leave the runner alone: it goes on without us."""
        self.started = None

    def update(self) -> None:
        """Say what a start would do, or everything that is wrong with it."""
        try:
            told, can_start = _plan_words(self._estimate()), self.started is None
        except InvalidInput as error:
            told, can_start = _words.problem(str(error)), False
        _words.say(self.told, told)
        _words.say(self.command, f"<p>The same as a command: <code>{html.escape(self._command())}</code></p>")
        self.start.disabled = not can_start

    def _read(self) -> None:
        """Take up another notebook: its parameters, and a folder of its own."""
        path, (given, self._given) = Path(self.notebook.value).expanduser(), (self._given, {})
        if self._declare(given):
            self.out.value = str(self._reports() / f"{given.get('name', path.stem)}-batch")
            self.update()

    def _read_on(self) -> None:
        """Take up the notebooks that follow; what is filled in already stays."""
        if self._declare(dict(pair.split("=", 1) for pair in self.grid.pairs())):
            self.update()

    def _declare(self, given: dict[str, str]) -> bool:
        """Make a field for each parameter of all notebooks; False, and said why, when one can't be read."""
        from workbench.batch._stages import all_specs, read_stages

        try:
            specs = all_specs(read_stages(Path(self.notebook.value).expanduser(), self._following()))
        except WorkbenchError as error:
            _words.say(self.told, _words.problem(str(error)))
            self.start.disabled = True
            return False
        known = {STORE: str(self.session.store.root.absolute())} if any(spec.name == STORE for spec in specs) else {}
        self.grid.declare(specs, known | given)
        return True

    def _following(self) -> list[Path]:
        """Return the notebooks that follow, as seen from here and not from the first one's folder."""
        return [Path(each).absolute() for each in self.then.paths()]

    def _take_view(self) -> None:
        """Write what the view shows as a study file, and make the notebook that compares its runs the one to execute."""
        runs = [run for run_id in self.session.selected if (run := self.session.run_of(run_id))]
        jobs = [Job.from_json(run.job) for run in runs] or [self.session.job()]
        text = copy_as.study_yaml(jobs, "view")
        file = self._reports() / "view.yaml"
        with disk_errors(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        self.then.clear()
        self.notebook.value = str(notebooks_folder() / STUDY)
        self._given = {"study_file": str(file), "reports_folder": str(self._reports()), "name": "view"}
        self.pump.do(self._read, key="notebook")

    def _start(self) -> None:
        from workbench.batch import api

        if self.started is not None:
            return
        try:
            self._estimate()
        except InvalidInput:
            self.update()  # which says why not
            return
        notebook, out = Path(self.notebook.value).expanduser(), Path(self.out.value).expanduser()
        self.started = api.start(
            notebook, None, out, pairs=self.grid.pairs(), then=self._following(), jobs=self.jobs.value
        )
        self.start.disabled = True
        _words.say(self.told, _words.waiting("starting…"))

    def _look(self) -> None:
        folder = Path(self.out.value).expanduser()
        self.watching = self.watching or WatchBatch(folder, self.pump)
        self.watching.folder = folder
        self.watching.update()
        self.live.children = (self.watching.view,)

    def _follow(self) -> None:
        """Show the batch once its folder is there, and say how it ended."""
        if self.started is None:
            return
        if self.started.folder.exists and (self.watching is None or self.watching.folder != self.started.folder.path):
            self._look()
            _words.say(self.told, _words.waiting("It runs, and goes on when this page is closed."))
        if self.started.process.poll() is None:
            return
        ended, self.started = self.started, None
        self.update()
        try:
            ended.wait()
        except WorkbenchError as error:
            _words.say(self.told, _words.problem(str(error)))
        self.session.refresh()

    def _estimate(self) -> Estimate:
        """Hold the grid against the folder; raises InvalidInput with every problem."""
        from workbench.batch import estimate
        from workbench.batch._options import Options
        from workbench.batch._plan import make_plan

        if not self.out.value.strip():
            raise InvalidInput(["no folder is given"], next_move="fill in where the batch is to be kept")
        plan = make_plan(Path(self.notebook.value).expanduser(), None, self.grid.pairs(), self._following())
        return estimate.estimate(
            plan, Path(self.out.value).expanduser(), jobs=Options(jobs=self.jobs.value).settled().jobs
        )

    def _command(self) -> str:
        then, jobs = self.then.paths(), self.jobs.value
        return copy_as.batch_line(self.notebook.value, self.grid.pairs(), self.out.value, then=then, jobs=jobs)

    def _reports(self) -> Path:
        return self.session.store.root.absolute().parent / "reports"


def _plan_words(found: Estimate) -> str:
    """Return how many rows there are, how many are done, and what the rest takes."""
    from workbench.batch.index import duration_text

    num_rows, num_wanted = len(found.plan.rows), len(found.found.wanted)
    told = f"{num_rows} row{'s' * (num_rows != 1)}: {num_wanted} to execute, {len(found.found.done)} done"
    if found.seconds is not None and num_wanted:
        told += f"; about {duration_text(found.seconds)} with {found.jobs} side by side, judged by those that ran"
    return _words.waiting(told) + "".join(map(_words.note, found.plan.warnings))
