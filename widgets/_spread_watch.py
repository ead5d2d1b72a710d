"""Watches a run that is spread over processes while it works, and says afterwards whether it is what one process trains."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets import _words
from widgets._aside import aside
from widgets._rank_words import failure_html, ranks_html, speed_text
from widgets._run_words import utc_now
from widgets.chart_host import Chart
from workbench import catalog, table
from workbench.charts import loss_equality, step_time
from workbench.nouns import Run
from workbench.rank_log import RankLog

if TYPE_CHECKING:
    from widgets.pump import Pump
    from widgets.session import Session

NOTHING = "No run on these data is spread over processes yet."
ALIKE = ("model", "data", "steps", "seed")


class SpreadWatch:
    """Shows one run at a time: what its processes tell, read aside."""

    def __init__(self, session: Session, pump: Pump) -> None:
        self.session, self.pump = session, pump
        self.shown = ""  # run id
        self._log: RankLog | None = None
        self._others: dict[str, RankLog] = {}  # runs of the same training in another layout, by run id
        self._reading = self._is_final = False
        self.which = ipywidgets.Dropdown(
            description="Run", tooltip="Which spread run is shown", layout={"width": "100%", "max_width": "720px"}
        )
        self.which.observe(lambda change: pump.do(self._pick, change["new"], key=self.which), names="value")
        self.speed, self.failure, self.table, self.equality = (ipywidgets.HTML() for _ in range(4))
        self.heads = [ipywidgets.HTML(_words.head(text)) for text in ("Where the time goes", "Loss")]
        self.stack, self.loss = Chart(), Chart()
        self.view = ipywidgets.VBox(
            [
                self.which,
                self.speed,
                self.failure,
                self.table,
                self.heads[0],
                self.stack,
                self.heads[1],
                self.equality,
                self.loss,
            ]
        )
        self._lay_bare("")
        self.offer()

    def offer(self) -> None:
        """Offer what is under way, then the finished ones, newest first; what begins is followed."""
        options = [(f"{_words_of(job)} · {run_id}", run_id) for run_id, job in self._known().items()]
        before, known = {run_id for _, run_id in self.which.options}, [run_id for _, run_id in options]
        if tuple(options) == self.which.options:
            return
        begun = next((run_id for _, run_id in options if run_id not in before), None)
        self.which.options = options
        wanted = begun or (self.shown if self.shown in known else None)
        if options:
            self.which.value = wanted or options[0][1]
        self._pick(self.which.value or "")

    def tick(self) -> None:
        """Read what is new while the shown run works, and once after it has ended."""
        self._renew_log()
        log, final = self._log, self._has_ended()
        if log is None or self._reading or (self._is_final and final):
            return
        self._reading = True
        others = list(self._others.values())

        def read() -> None:
            for each in (log, *others):
                each.look()

        aside(self.pump, read, lambda _: self._looked(log, final), lambda words: self._failed(words))

    def static(self) -> list[Any]:
        """Return the newest spread run's processes, times and losses."""
        from IPython.display import HTML

        self.offer()
        self.tick()
        self.pump.drain()
        if self._log is None:
            return [HTML(_words.note(NOTHING))]
        told = HTML(self.speed.value + self.failure.value + self.table.value + self.equality.value)
        return [told, step_time.step_time_figure(self._stacks()), loss_equality.loss_equality_figure(self._losses())]

    def _known(self) -> dict[str, Mapping[str, Any]]:
        """Return the jobs of spread runs by run id."""
        running = {entry.run_id: entry.job for entry in self.session.queue if entry.run_id and not entry.finished}
        ended = {run.run_id: run.job for run in reversed(self.session.runs)}
        mine = {**running, **ended}
        return {
            run_id: job for run_id, job in mine.items() if job.get("layout") and job.get("data") == self.session.data
        }

    def _pick(self, run_id: str) -> None:
        if run_id == self.shown and self._log is not None:
            return
        self.shown, self._log, self._others, self._is_final = run_id, None, {}, False
        self._lay_bare(run_id)
        self.tick()

    def _lay_bare(self, run_id: str) -> None:
        """Take away what belongs to another run."""
        for part in (*self.heads, self.stack, self.loss):
            _words.show(part, bool(run_id))
        _words.show(self.which, bool(run_id))
        for text in (self.failure, self.table, self.equality):
            _words.say(text, "")
        _words.say(self.speed, _words.note("" if run_id else NOTHING))

    def _renew_log(self) -> None:
        job = self._known().get(self.shown)
        if self._log is None and job is not None:
            self._log = RankLog(self.session.store.root / f".draft-{self.shown}", _num_processes(job))
            alike = [run for run in self.session.runs if _is_alike(run, job) and run.run_id != self.shown]
            newest = {table.layout_text(run) or "one process": run for run in alike}
            self._others = {label: RankLog(Path(run.folder), 1) for label, run in newest.items()}

    def _has_ended(self) -> bool:
        return self.session.run_of(self.shown) is not None

    def _looked(self, log: RankLog, final: bool) -> None:
        self._reading = False
        if log is not self._log:
            return
        self._is_final = final
        run = self.session.run_of(self.shown)
        leader = log.ranks[0]
        speed = speed_text(leader, whole=final)
        _words.say(
            self.speed, f'<p class="wb-headline">{speed}</p>' if speed else _words.waiting("Processes are starting…")
        )
        _words.say(self.failure, failure_html(run.error) if run else "")
        _words.say(self.table, ranks_html(log.ranks, utc_now()))
        losses = self._losses()
        _words.say(self.equality, _words.note(loss_equality.in_words(losses)) if losses.gaps else "")
        self.stack.show(step_time.step_time_figure(self._stacks()))
        self.loss.show(loss_equality.loss_equality_figure(losses))

    def _failed(self, words: str) -> None:
        self._reading = False
        _words.say(self.failure, _words.problem(words))

    def _stacks(self) -> step_time.StepTimeData:
        ranks = self._log.ranks if self._log else []
        whole = self._has_ended()
        return step_time.step_time_data([(f"rank {told.rank}", told.per_update(whole=whole)) for told in ranks])

    def _losses(self) -> loss_equality.LossEqualityData:
        assert self._log is not None
        job = self._known().get(self.shown, {})
        curves = {_words_of(job): self._log.ranks[0].losses}
        curves |= {label: other.ranks[0].losses for label, other in self._others.items()}
        return loss_equality.loss_equality_data(curves)


def _num_processes(job: Mapping[str, Any]) -> int:
    launcher: Any = catalog.make("launch", job.get("launcher"))
    return int(launcher.num_processes)


def _is_alike(run: Run, job: Mapping[str, Any]) -> bool:
    return run.status == "done" and all(run.job.get(name) == job.get(name) for name in ALIKE)


def _words_of(job: Mapping[str, Any]) -> str:
    return table.layout_text(Run("", "", "planned", job)) or "one process"
