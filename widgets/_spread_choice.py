"""Chooses how a training is spread: layout and launcher, every legal way, and what each process will need."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets import _words
from widgets._aside import aside
from widgets._rank_words import ways_html
from widgets._refusals import always_refused
from widgets.chart_host import Chart
from widgets.form import pick_one
from workbench import catalog
from workbench.charts.pipeline_schedule import pipeline_schedule_data, pipeline_schedule_figure
from workbench.charts.rank_memory import rank_memory_data, rank_memory_figure
from workbench.errors import InvalidInput
from workbench.job import Job
from workbench.part import Layout
from workbench.plan import ways as spreading
from workbench.plan.ways import Way

if TYPE_CHECKING:
    from widgets.pump import Pump
    from widgets.session import Session

SEVERAL = {"use": "torchrun", "nproc": 2}
HELP = "Which way, of those that are right"
UNKNOWN = "What a process needs is expected once the model is known and a step trains."


class SpreadChoice:
    """Changes the session's layout and launcher; what is illegal is greyed and says why."""

    def __init__(self, session: Session, pump: Pump) -> None:
        self.session, self.pump = session, pump
        self.ways: list[Way] = []
        self._asked: Any = None  # what the shown ways belong to
        told = "How the training is spread over processes"
        self.layout = pick_one("layout", self._set_layout, pump.do, name="layout", help=told, optional=True)
        self.launcher = pick_one("launch", self._set_launcher, pump.do, name="launcher", help="How processes start")
        self.way = ipywidgets.Dropdown(description="Way", tooltip=HELP, layout={"width": "100%", "max_width": "560px"})
        self.way.observe(lambda change: pump.do(self._picked, change["new"], key=self.way), names="value")
        self.reasons, self.table, self.told, self.submitted = (ipywidgets.HTML() for _ in range(4))
        self.heads = [ipywidgets.HTML(_words.head(text)) for text in ("Memory of each process", "Who works when")]
        self.memory, self.schedule = Chart(), Chart()
        rows = [ipywidgets.VBox(part.widgets).add_class("wb-row") for part in (self.layout, self.launcher)]
        picks = ipywidgets.Box(rows).add_class("wb-spread-picks")
        self.view = ipywidgets.VBox(
            [
                picks,
                self.reasons,
                self.submitted,
                self.way,
                self.table,
                self.told,
                self.heads[0],
                self.memory,
                self.heads[1],
                self.schedule,
            ]
        )

    def update(self) -> None:
        """Show the session as it is now; what is expected is worked out aside."""
        session = self.session
        self.layout.show(session.layout)
        self.launcher.show(session.launcher)
        problems = [each for each in session.problems() if each.startswith(("layout", "launcher")) or "layout " in each]
        _words.say(self.reasons, "".join(_words.problem(each) for each in problems))
        _words.say(self.submitted, self._preview_html())
        record, card = session.job_record(), session.card
        key = {name: value for name, value in record.items() if name not in ("format", "metrics", "seed")}, card
        if key == self._asked:
            return
        self._asked = key
        if card is None or session.layout is None:
            self._show(key, [], None)
            return
        aside(self.pump, lambda: expected(record, card), lambda found: self._show(key, *found),
              lambda words: self._show(key, [], None, words))  # fmt: skip

    def static(self) -> list[Any]:
        """Return what was expected, for a notebook that nobody touches."""
        from IPython.display import HTML

        self._asked = None
        self.update()
        self.pump.drain()
        own = self.own()
        figures = [rank_memory_figure(rank_memory_data(own.rank_bytes))] if own and own.rank_bytes else []
        return [HTML(self.table.value or self.told.value), *figures]

    def own(self) -> Way | None:
        """Return the picked way; None while it isn't known."""
        layout = self.session.layout
        return next((way for way in self.ways if layout and dict(way.layout) == layout), None)

    def _show(self, key: Any, ways: list[Way], own: Way | None, words: str = "") -> None:
        if key != self._asked:
            return
        self.ways = [*ways, *([own] if own and own.layout not in [way.layout for way in ways] else [])]
        right = [way for way in ways if not way.reasons]
        options = [("other", ""), *((_option(way), way.title) for way in right)]
        with self.way.hold_sync():
            self.way.options = options
            self.way.value = own.title if own and own.title in [way.title for way in right] else ""
        _words.show(self.way, bool(right))
        _words.say(self.table, ways_html(ways, own.title if own else "") if ways else "")
        note = own.note if own else "" if self.session.layout is None else UNKNOWN
        _words.say(self.told, _words.problem(words) or _words.note(f"{note[:1].upper()}{note[1:]}." if note else ""))
        is_drawn = own is not None and bool(own.rank_bytes)
        for part in (self.heads[0], self.memory):
            _words.show(part, is_drawn)
        if own is not None and is_drawn:
            self.memory.show(rank_memory_figure(rank_memory_data(own.rank_bytes)))
        self._show_schedule(is_drawn)
        self._refuse()

    def _show_schedule(self, is_legal: bool) -> None:
        layout: Any = catalog.make("layout", self.session.layout) if is_legal else None
        extents = layout.extents(self._num_processes()) if layout else None
        is_pipeline = extents is not None and extents.pipeline > 1
        for part in (self.heads[1], self.schedule):
            _words.show(part, is_pipeline)
        if extents is not None and is_pipeline:
            self.schedule.show(pipeline_schedule_figure(pipeline_schedule_data(extents)))

    def _refuse(self) -> None:
        """Grey the layouts that can't be taken with this model and number of processes, whatever their parameters."""
        card, num = self.session.card, self._num_processes()
        if card is None or num < 2:
            self.layout.refuse({})
            return

        def reasons_of(layout: Layout) -> list[str]:
            return layout.why_not(card, num_processes=num, batch_size=2**20)

        self.layout.refuse({part.name(): always_refused(part, reasons_of) for part in catalog.parts("layout")})

    def _num_processes(self) -> int:
        try:
            launcher: Any = catalog.make("launch", self.session.launcher)
        except InvalidInput:
            return 1
        return int(launcher.num_processes)

    def _preview_html(self) -> str:
        """Return what the launcher would hand to an engine, to be read before it does; empty where it starts processes itself."""
        try:
            launcher: Any = catalog.make("launch", self.session.launcher)
        except InvalidInput:
            return ""
        root = self.session.store.root.absolute()
        text = launcher.preview(root / ".draft-RUN", root)
        told = f'<pre class="wb-trace">{html.escape(text)}</pre>'
        return f"<details><summary>What is submitted</summary>{told}</details>" if text else ""

    def _set_layout(self, record: dict[str, Any] | None) -> None:
        """Take a layout; several processes come and go with it."""
        with self.session.hold_trait_notifications():
            self.session.layout = record
            if record is not None and self._num_processes() == 1:
                self.session.launcher = catalog.make("launch", SEVERAL).to_json()
            elif record is None and self._num_processes() > 1:
                self.session.launcher = catalog.make("launch", "process").to_json()

    def _set_launcher(self, record: dict[str, Any]) -> None:
        self.session.launcher = record

    def _picked(self, title: str) -> None:
        way = next((way for way in self.ways if way.title == title and not way.reasons), None)
        if way is not None and dict(way.layout) != self.session.layout:
            self.session.layout = dict(way.layout)


def expected(record: dict[str, Any], card: Any) -> tuple[list[Way], Way | None]:
    """Return every way for a job record, and its own; none while its values are illegal."""
    try:
        job = Job.from_json(record)
    except InvalidInput:
        return [], None
    if job.layout is None or job.launcher.num_processes < 2:
        return [], None
    return spreading.ways(job, card), spreading.way(job, card)


def _option(way: Way) -> str:
    share = "" if way.efficiency is None else f", {way.efficiency:.0%} expected"
    return f"{way.title} ({way.layout['use']}{share})"
