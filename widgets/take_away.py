"""Takes the view away: as a Python cell, a study file, a command, a batch command, JSON, or a decision memo."""

from __future__ import annotations

import contextlib
import html
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import ipywidgets

from widgets import _words, static_view
from widgets._aside import aside
from widgets._tab_panel import TabPanel
from workbench import copy_as, memo
from workbench.charts.pareto import pareto_data, pareto_figure
from workbench.charts.waterfall import waterfall_data, waterfall_figure
from workbench.compare import Budgets, compare_runs
from workbench.errors import InvalidInput
from workbench.job import Job

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from widgets.pump import Pump
    from widgets.session import Session

KINDS = ("Python cell", "Job (JSON)", "Study (YAML)", "Command", "Batch command", "Session (JSON)", "Decision memo")
FILES = {"Python cell": "cell.py", "Job (JSON)": "job.json", "Study (YAML)": "study.yaml", "Command": "run.sh",
         "Batch command": "batch.sh", "Session (JSON)": "session.json", "Decision memo": "memo.md"}  # fmt: skip
WHAT = ("the picked recipe", "the brushed runs")


class TakeAway(TabPanel):
    """Text in a field that can be copied, and saved as a file."""

    def __init__(self, session: Session, pump: Pump) -> None:
        self.session, self.pump = session, pump
        self.kind = ipywidgets.Dropdown(options=KINDS, description="As", tooltip="What to make of the view")
        self.what = ipywidgets.ToggleButtons(options=WHAT, tooltips=("One job: what the recipe shows", "The jobs of the runs that are brushed in chart or table"))  # fmt: skip
        self.text = ipywidgets.Textarea(
            description="Text", layout={"width": "100%", "height": "320px"}, tooltip="Select all and copy"
        )
        self.file = ipywidgets.Text(description="File", tooltip="Where to save the text")
        self.save = ipywidgets.Button(description="Save", icon="save", tooltip="Write the text to the file")
        self.told = ipywidgets.HTML()
        self.view = ipywidgets.VBox(
            [ipywidgets.HBox([self.kind, self.what]), self.text, ipywidgets.HBox([self.file, self.save]), self.told]
        )
        self.view.add_class("wb-take-away")
        for control in (self.kind, self.what):
            control.observe(lambda _: pump.do(self.update, key=self), names="value")
        self.save.on_click(lambda _: pump.do(self._save))
        session.observe(lambda _: pump.do(self._if_shown, key=self))

    def _if_shown(self) -> None:
        if self.is_shown:
            self.update()

    def update(self) -> None:
        """Make the text anew; what can't be made says why."""
        kind = self.kind.value
        self.file.value = FILES[kind]
        try:
            text, told = self.written(kind), ""
        except InvalidInput as error:
            text, told = "", _words.problem(str(error))
        if self.text.value != text:
            self.text.value = text
        self.told.value = told

    def written(self, kind: str) -> str:
        """Return the text of one kind; raises InvalidInput when the view holds nothing to make it of."""
        session = self.session
        if kind == "Session (JSON)":
            return json.dumps(session.to_json(), indent=2, ensure_ascii=False)
        if kind == "Decision memo":
            return self._memo()
        jobs = self._jobs()
        if kind == "Python cell":
            return copy_as.python_cell(jobs, session.store_folder)
        if kind == "Job (JSON)":
            return "\n".join(copy_as.job_json(job) for job in jobs)
        if kind == "Study (YAML)":
            return copy_as.study_yaml(jobs, "view")
        if kind == "Command":
            return "\n".join(copy_as.command(job, session.store_folder) for job in jobs)
        return copy_as.batch_command(FILES["Study (YAML)"], session.store_folder)

    def _jobs(self) -> list[Job]:
        if self.what.value == WHAT[0]:
            return [self.session.job()]
        runs = [run for run_id in self.session.selected if (run := self.session.run_of(run_id))]
        if not runs:
            raise InvalidInput(["no run is brushed"], next_move="brush points in the chart or rows in the table")
        return list({run.job_id: Job.from_json(run.job) for run in runs}.values())

    def _memo(self, figures: Mapping[str, memo.Figure] | None = None) -> str:
        choice = self.session.choice()
        if choice is None:
            raise InvalidInput(["no run of this model is done"], next_move="run a recipe first")
        pair = self.session.compared()
        return memo.decision_memo(
            self.session.of_this_model(), choice, budgets=Budgets(**self.session.budgets), figures=figures,
            compared=compare_runs(*pair) if pair else None,
        )  # fmt: skip

    def _save(self) -> None:
        path = Path(self.file.value).expanduser()
        if self.kind.value != "Decision memo" or (why_not := static_view.why_not_drawn()):
            self._write(path, self.text.value)
            if self.kind.value == "Decision memo":
                self.told.value += f"<p>without figures: {html.escape(why_not)}</p>"
            return
        self.told.value = "<p>drawing the figures…</p>"
        aside(
            self.pump,
            lambda: self._memo(self._drawn_beside(path)),
            lambda text: self._write(path, text),
            self._not_saved,
        )

    def _not_saved(self, words: str) -> None:
        self.told.value = _words.problem(words)

    def _drawn_beside(self, path: Path) -> dict[str, memo.Figure]:
        """Draw what the memo speaks of into files beside it; returns them by caption."""
        figures = {}
        for name, (caption, figure, run_ids) in _figures(self.session).items():
            target = path.with_name(f"{path.stem}-{name}.png")
            with writable(target):
                static_view.picture(figure, target)
            figures[caption] = memo.Figure(target.relative_to(path.parent), run_ids)
        return figures

    def _write(self, path: Path, text: str) -> None:
        with writable(path):
            path.write_text(text, encoding="utf-8")
        self.told.value = f"<p>saved as {html.escape(str(path.resolve()))}</p>"


@contextlib.contextmanager
def writable(path: Path) -> Iterator[None]:
    """Turn what goes wrong while a file is written into words."""
    try:
        yield
    except OSError as error:
        raise InvalidInput([f"{path} can't be written: {error.strerror}"], next_move="choose another place") from error


def _figures(session: Session) -> dict[str, tuple[str, go.Figure, tuple[str, ...]]]:
    """Return (caption, figure, run ids) of size against accuracy, and of where the bytes of B went, by file name."""
    runs = session.of_this_model()
    drawn = pareto_data(runs, x="artifact_bytes", y=session.y, split="validation")
    found = {
        "trade-off": (
            "Size against accuracy on validation",
            pareto_figure(drawn),
            tuple(p.run_id for p in drawn.points),
        )
    }
    pair = session.compared()
    if pair:
        bytes_of = waterfall_data(pair[1], runs)
        found["bytes"] = (
            "Where the bytes went",
            waterfall_figure(bytes_of),
            tuple(dict.fromkeys(bar.run_id for bar in bytes_of.bars)),
        )
    return found
