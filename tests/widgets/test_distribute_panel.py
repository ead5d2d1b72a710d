"""A training is spread from a panel: what is right, what it takes, what its processes tell; one real run over two processes."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import small_job
from tests.widgets.looking_at import shown
from widgets._rank_words import failure_html
from widgets.distribute import Distribute
from widgets.pump import Pump
from widgets.session import Session
from workbench import bench
from workbench.nouns import Run
from workbench.queue import Entry
from workbench.store import DRAFT, Store

LAYOUT = {"use": "data_parallel"}
LAUNCHER = {"use": "torchrun", "nproc": 2}
LM = {"use": "tiny_lm", "layers": 4}
STEPS = [{"use": "train", "epochs": 100}]
TEXT = {"use": "python_source", "length": 32, "num_examples": 200}


def panel_of(session: Session) -> Distribute:
    panel = Distribute(session, Pump())
    panel.on_shown()
    panel.pump.drain()
    return panel


def picked(**parts: Any) -> Distribute:
    return panel_of(Session("nowhere", model=LM, data=TEXT, **parts))


def ways(panel: Distribute) -> dict[str, Any]:
    return {way.title: way for way in panel.choice.ways}


@dataclass
class Followed:
    """What a panel showed while one real training over two processes worked, and the run that came of it."""

    run: Run
    was_cancellable: bool
    table: str
    num_losses: int


@pytest.fixture(scope="module")
def followed(shared_store: Store) -> Followed:
    job = small_job(steps=STEPS, layout=LAYOUT, launcher=LAUNCHER)
    draft, worker = bench.submit(job, shared_store)
    session = Session(shared_store.root, model=job.model.to_json(), layout=LAYOUT, launcher=LAUNCHER)
    session.refresh()
    session.queue = (Entry("e", job.job_id, job.to_json(), "running", run_id=draft.name.removeprefix(DRAFT)),)
    panel = panel_of(session)
    end = time.monotonic() + 240
    while worker.poll() is None and time.monotonic() < end:
        drawn = [len(rows) for rows in panel.watch._losses().curves.values()] if panel.watch.shown else []
        if panel.watch.table.value.count("▶ working") == 2 and max(drawn, default=0) > 1:
            break
        time.sleep(0.1)
        panel.watch.tick()
        panel.pump.drain()
    seen = panel.watch.table.value, len(json.loads(panel.watch.loss.figure)["data"][0]["x"])
    assert panel.watch.shown == draft.name.removeprefix(DRAFT)
    worker.wait(240)
    return Followed(bench.ended(draft, shared_store), not panel.cancel.disabled, *seen)


def test_without_a_layout_nothing_is_spread_and_picking_one_brings_processes() -> None:
    panel = picked()
    assert panel.run.disabled and "without one, one process trains" in panel.told.value
    panel.choice.layout.menu.value = "sharded"
    panel.pump.drain()
    assert panel.session.layout == {"use": "sharded", "replicate": 1, "accumulate": 1, "recompute": False}
    assert panel.session.launcher["use"] == "torchrun" and not panel.run.disabled
    panel.choice.layout.menu.value = ""
    panel.pump.drain()
    assert panel.session.layout is None and panel.session.launcher["use"] == "process"


def test_illegal_ways_are_greyed_with_their_reasons_and_legal_ones_say_what_they_take() -> None:
    panel = picked(layout=LAYOUT, launcher={"use": "torchrun", "nproc": 8})
    refused = {title: way.reasons for title, way in ways(panel).items() if way.reasons}
    assert "heads=4 can't be split 8 ways" in refused["tensor 8"]
    assert any("use shard=4, which is exact" in reason for reason in refused["replicate 4 × pipeline 2"])
    assert "can&#x27;t be split 8 ways" in panel.choice.table.value and "wb-refusal" in panel.choice.table.value
    assert all(title not in dict(panel.choice.way.options).values() for title in refused)
    assert panel.choice.layout.menu.options[0] == ("none", "")
    marked = {name: text for text, name in panel.choice.layout.menu.options}
    assert marked["tensor"].startswith("✗") and not marked["hybrid"].startswith("✗")


def test_a_way_is_taken_with_one_choice_and_its_memory_and_timetable_are_drawn() -> None:
    panel = picked(layout=LAYOUT, launcher={"use": "torchrun", "nproc": 4})
    assert panel.choice.schedule not in shown(panel.view)
    panel.choice.way.value = "tensor 2 × pipeline 2"
    panel.pump.drain()
    assert panel.session.layout is not None and panel.session.layout["use"] == "hybrid"
    assert panel.session.layout["tensor"] == panel.session.layout["pipeline"] == 2 and not panel.run.disabled
    assert panel.choice.schedule in shown(panel.view)
    drawn = json.loads(panel.choice.memory.figure)
    assert drawn["data"][0]["y"] == ["rank 0", "rank 1", "rank 2", "rank 3"]
    assert "1F1B" in panel.choice.schedule.alt


def test_what_an_engine_would_get_is_shown_before() -> None:
    panel = picked(layout={"use": "sharded"}, launcher={"use": "slurm", "nodes": 2})
    assert "What is submitted" in panel.choice.submitted.value and "#SBATCH --nodes=2" in panel.choice.submitted.value
    panel.session.launcher = {"use": "torchrun", "nproc": 2}
    panel.pump.drain()
    assert not panel.choice.submitted.value


def test_an_illegal_layout_says_why_and_can_not_run() -> None:
    panel = picked(layout={"use": "hybrid", "replicate": 2, "tensor": 2}, launcher={"use": "torchrun", "nproc": 4})
    assert "which is exact" in panel.choice.reasons.value and panel.run.disabled


def test_a_run_is_followed_while_it_works(followed: Followed) -> None:
    assert followed.run.status == "done", followed.run.error
    assert followed.table.count("▶ working") == 2 and followed.was_cancellable
    assert followed.num_losses > 1


def ended(store: Store) -> Distribute:
    model = small_job().model.to_json()
    session = Session(store.root, model=model, steps=STEPS, layout=LAYOUT, launcher=LAUNCHER)
    session.refresh()
    return panel_of(session)


def test_a_finished_run_shows_every_process_and_equals_one_process(followed: Followed, shared_store: Store) -> None:
    alone = bench.carry_out(small_job(steps=STEPS), shared_store)
    assert alone.status == "done"
    watch = ended(shared_store).watch
    assert watch.shown == followed.run.run_id and "examples/s" in watch.speed.value
    assert watch.table.value.count("✓ done") == 2 and "compute" in watch.table.value
    gap, num = watch._losses().gaps["one process"]
    assert gap < 1e-4 and num >= 1 and "one process" in watch.equality.value
    assert [trace["name"] for trace in json.loads(watch.stack.figure)["data"]][0] == "computing"
    told = [each for each in ended(shared_store).static() if hasattr(each, "data")]
    assert any("✓ done" in str(each.data) for each in told)


def test_a_failure_shows_the_words_and_the_traceback_of_the_process_that_failed_first() -> None:
    shown_words = failure_html(
        {"message": "rank 1 of 2: ValueError: <this>", "next": "mend it", "traceback": "File x\nValueError: <this>"}
    )
    assert "rank 1 of 2: ValueError: &lt;this&gt;" in shown_words and "File x" in shown_words
    assert "mend it" in shown_words and not failure_html(None)
