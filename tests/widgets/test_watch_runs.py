"""The list of what runs and waits, driven without a browser."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ipywidgets
import pytest
from ipywidgets.widgets import widget

from tests.charts.crafted_runs import crafted_run
from tests.compare.test_fastest import in_format
from tests.conftest import small_job
from widgets import _run_words, watch_runs
from widgets._run_log import MOST_POINTS, RunLog
from widgets.pump import Pump
from widgets.session import Session
from widgets.watch_runs import WatchRuns
from workbench import queue
from workbench.queue import Entry

JOB = small_job().to_json()
NOW = datetime(2026, 1, 2, 3, 4, 30, tzinfo=UTC)


def entry(name: str = "a", state: Any = "waiting", **changes: Any) -> Entry:
    return Entry(f"{name}.1", name, JOB, state, **changes)


def running(**changes: Any) -> Entry:
    known = {
        "run_id": "a-01",
        "part": "steps[0].train",
        "done": 3,
        "total": 6,
        "unit": "batches",
        "values": {"loss": 0.5},
    }
    return entry("a", "running", **{**known, "started": datetime.now(UTC).isoformat(), "eta_seconds": 12.0, **changes})


@pytest.fixture
def session(tmp_path: Path) -> Session:
    session = Session(tmp_path / "runs")
    session.set_job(JOB)
    return session


@pytest.fixture
def panel(session: Session) -> WatchRuns:
    return WatchRuns(session, Pump())


def words(panel: WatchRuns, name: str = "a.1") -> str:
    card = panel.cards[name]
    return card.title.value + card.facts.value + card.curve.value


def buttons(panel: WatchRuns, name: str = "a.1") -> list[str]:
    row = panel.cards[name].row.children
    return [
        child.description or child.icon for child in row if isinstance(child, ipywidgets.Button) and not child.disabled
    ]


def test_a_running_card_says_step_count_loss_and_time_left(session: Session, panel: WatchRuns) -> None:
    session.queue = (running(),)
    panel.pump.drain()
    for told in (
        "▶ running",
        "step 1: train 3/6 batches",
        "loss 0.5",
        "about 12 s left",
        "so far",
        'value="3" max="6"',
    ):
        assert told in words(panel)
    assert panel.badge.value == '<span role="status">Queue: 1 running</span>'
    assert buttons(panel) == ["Cancel"]


def test_progress_changes_texts_and_keeps_the_widgets(session: Session, panel: WatchRuns) -> None:
    session.queue = (running(),)
    panel.pump.drain()
    card, children = panel.cards["a.1"], panel.list.children
    session.queue = (running(done=5),)
    panel.pump.drain()
    assert panel.cards["a.1"] is card and panel.list.children is children and "5/6" in card.facts.value
    session.queue = (entry("a", "done", run_id="a-01"),)
    panel.pump.drain()
    assert panel.cards["a.1"] is card and panel.list.children is children and "✓ done" in card.title.value


def test_time_that_passes_sends_nothing_unless_something_runs(session: Session, panel: WatchRuns) -> None:
    session.queue = (
        entry("w", why_waiting="1 before it"),
        entry("d", "done", run_id="d-01", started="2026-01-01T00:00:00Z"),
    )
    panel.pump.drain()
    sent: list[Any] = []
    for card in panel.cards.values():
        for each in (card.title, card.facts, card.curve, card.told, card.row):
            each.observe(sent.append)
    panel.badge.observe(sent.append)
    for _ in range(5):
        panel.pump.drain()
    assert sent == []


def test_a_failure_says_cause_and_next_move(session: Session, panel: WatchRuns) -> None:
    error = {"kind": "killed", "message": "the worker is gone: <b>", "next": "run it again", "signal": 9}
    session.queue = (entry("a", "lost", run_id="a-01", error=error),)
    panel.pump.drain()
    said = words(panel)
    assert "Killed:" in said and "signal 9, KILL" in said and "&lt;b&gt;" in said and "Next:</b> run it again" in said
    assert 'role="alert"' in said and buttons(panel) == ["Dismiss"]
    for kind, word in (("out_of_memory", "Out of memory"), ("disk_full", "Disk full")):
        assert word in _run_words.error_html(entry("a", "failed", error={"kind": kind, "message": "no"}))


def test_only_what_waits_can_be_moved_and_only_what_ended_dismissed(session: Session, panel: WatchRuns) -> None:
    session.queue = (
        entry("r", "waiting", for_job="w"), entry("w"), entry("c", "cancelled"), running(cancelling=True),
    )  # fmt: skip
    panel.pump.drain()
    assert buttons(panel, "w.1") == ["Cancel", "arrow-up", "arrow-down"]
    assert buttons(panel, "r.1") == ["Cancel"] and "for the comparison of w" in words(panel, "r.1")
    assert buttons(panel, "c.1") == ["Dismiss"]
    assert buttons(panel, "a.1") == [] and "■ stopping" in words(panel, "a.1")


def test_buttons_leave_word_for_the_queue(session: Session, panel: WatchRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    for name in ("cancel", "move", "dismiss", "clear_finished"):
        monkeypatch.setattr(queue, name, lambda store, *args, name=name: asked.append((name, *args)))
    monkeypatch.setattr(Session, "refresh", lambda self: None)
    session.queue = (entry("w"), entry("d", "done", run_id="d-01"))
    panel.pump.drain()
    waiting, done = panel.cards["w.1"].buttons, panel.cards["d.1"].buttons
    for button in (waiting["up"], waiting["down"], waiting["cancel"], done["show"], done["dismiss"]):
        button.click()
    assert asked == [], "a handler only leaves word"
    panel.pump.drain()
    assert asked == [("move", "w.1", True), ("move", "w.1", False), ("cancel", "w.1"), ("dismiss", "d.1")]
    assert session.b == "d-01"


def test_a_job_that_cannot_run_says_why_beside_a_disabled_button(session: Session, panel: WatchRuns) -> None:
    assert not panel.run.disabled and panel.run.description == "Run"
    session.steps = [{"use": "train", "epochs": -1}]
    panel.pump.drain()
    assert panel.run.disabled and "epochs" in panel.reasons.value and 'role="alert"' in panel.reasons.value


def test_a_done_job_names_its_run_and_can_run_again(session: Session, panel: WatchRuns) -> None:
    job_id = session.job().job_id
    done = replace(crafted_run(f"{job_id}-01"), job_id=job_id)
    session.runs = (done,)
    panel.pump.drain()
    assert panel.run.description == "Run again" and done.run_id in panel.reasons.value
    session.queue = (Entry("x", job_id, JOB, "running"),)
    panel.pump.drain()
    assert panel.run.disabled and "running already" in panel.reasons.value


def test_every_format_that_holds_the_recipe_is_put_into_the_queue(
    session: Session, panel: WatchRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    put: list[Any] = []
    monkeypatch.setattr(queue, "put", lambda jobs, store: put.extend(jobs))
    session.set_job({**JOB, "steps": [*JOB["steps"], {"use": "bfloat16"}]})
    panel.pump.drain()
    assert panel.run.disabled, "ONNX Runtime has no bfloat16"
    assert not panel.every_format.button.disabled, "other formats have"
    panel.every_format.button.click()
    panel.pump.drain()
    names = {job.format.name() for job in put}
    assert "pt2" in names and "onnx" not in names
    session.steps = [{"use": "train", "epochs": -1}]
    panel.pump.drain()
    assert panel.every_format.button.disabled


def test_which_format_answers_first_is_said_when_two_are_finished(
    session: Session, panel: WatchRuns, tmp_path: Path
) -> None:
    runs = [in_format(tmp_path, "coded", 1.5), in_format(tmp_path, "openvino", 0.5)]
    alike = [replace(run, job={**JOB, "format": run.job["format"]}, job_id=run.run_id) for run in runs]
    session.runs = tuple(alike[:1])
    panel.pump.drain()
    assert panel.every_format.told.value == ""
    session.runs = tuple(alike)
    panel.pump.drain()
    assert "openvino is the fastest of 2 formats" in panel.every_format.told.value


def test_many_entries_draw_a_few_cards_and_count_the_others(session: Session, panel: WatchRuns) -> None:
    session.queue = (*(entry(f"w{i}") for i in range(200)), *(entry(f"d{i}", "done") for i in range(200)), running())
    panel.pump.drain()
    assert len(panel.cards) == 1 + watch_runs.MOST_WAITING + watch_runs.MOST_FINISHED
    assert "and 370 more" in panel.more.value and "1 running, 200 waiting, 200 done" in panel.badge.value
    assert panel.list.children[0] is panel.cards["a.1"].view


def test_a_card_that_goes_leaves_no_widget_behind(session: Session, panel: WatchRuns) -> None:
    """Layouts and styles are widgets too, and ipywidgets keeps every one that nobody closed."""
    before = set(widget._instances)
    session.queue = (running(), entry("b"))
    panel.pump.drain()
    assert len(set(widget._instances) - before) > 20
    session.queue = ()
    panel.pump.drain()
    assert set(widget._instances) == before


def test_the_log_is_read_on_and_the_loss_curve_stays_small(tmp_path: Path) -> None:
    events = [{"t": "2026-01-02T03:04:05Z", "kind": "log", "part": "load", "text": "load begins"}]
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    (tmp_path / "log.txt").write_text("Traceback: no\n")
    log, one = RunLog(), entry("a", "running", log=str(tmp_path / "log.txt"))
    assert log.look(one).lines == ["03:04:05 load load begins"] and log.printed(one) == ["Traceback: no"]
    with path.open("a") as file:
        for step in range(1000):
            told = {"kind": "progress", "part": "steps[0].train", "values": {"loss": 1000 - step}}
            file.write(json.dumps(told) + "\n")
    losses = log.look(one).losses
    assert losses[0] == 1000 and losses == sorted(losses, reverse=True) and 20 < len(losses) <= MOST_POINTS
    assert len(log.look(one).losses) == len(losses), "what was read isn't read again"


def test_a_curve_says_its_ends_in_words() -> None:
    assert _run_words.sparkline([1.0], "loss") == ""
    assert 'aria-label="loss went from 2 to 0.5, lowest 0.25"' in _run_words.sparkline([2.0, 0.25, 0.5], "loss")


def test_durations_read_as_people_say_them() -> None:
    started = (NOW - timedelta(seconds=75)).isoformat()
    assert _run_words.elapsed_text(entry("a", "running", started=started), NOW) == "1 min 15 s"
    assert _run_words.duration_text(4000) == "1 h 06 min" and _run_words.duration_text(7.6) == "8 s"


@pytest.mark.slow
def test_run_puts_the_job_into_the_queue_and_its_card_follows_it_to_the_end(session: Session) -> None:
    panel = WatchRuns(session, Pump())
    panel.run.click()
    panel.run.click()
    panel.pump.drain()
    assert len(session.queue) == 1, "a second click asks for nothing more"
    (name,) = panel.cards
    deadline = time.monotonic() + 240
    while not session.queue[0].finished and time.monotonic() < deadline:
        session.refresh()
        panel.pump.drain()
        time.sleep(0.05)
    session.refresh()
    panel.cards[name].open.value = True
    panel.pump.drain()
    assert "✓ done" in panel.cards[name].title.value, words(panel, name)
    assert "steps[0].train begins" in panel.cards[name].told.value
    panel.cards[name].buttons["show"].click()
    panel.pump.drain()
    assert session.b == session.runs[-1].run_id and panel.run.description == "Run again"
    while session.queue and time.monotonic() < deadline:  # until the keeper, too, has noted the end
        panel.clear.click()
        panel.pump.drain()
    assert session.queue == () and not panel.cards and "press Run" in panel.more.value
