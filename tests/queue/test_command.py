"""`workbench queue`, as a person or a program uses it."""

from __future__ import annotations

import json
from typing import Any

from typer.testing import CliRunner

from tests.conftest import small_job
from tests.queue.conftest import Hands
from workbench import queue
from workbench.cli import app
from workbench.store import Store


def call(store: Store, *words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["queue", "--store", str(store.root), *words])
    assert result.exit_code == code, result.output
    return result.output


def listed(store: Store) -> list[dict[str, Any]]:
    return json.loads(call(store, "--json"))["entries"]


def test_it_lists_what_waits_and_how_far_is_what_runs(hands: Hands, store: Store) -> None:
    assert "nothing in the queue" in call(store)
    queue.put([small_job(), small_job(seed=1)], store)
    hands.step()
    draft = hands.workers[small_job().job_id].draft
    event = {"part": "steps[0].train", "kind": "progress", "done": 3, "total": 10, "unit": "batches", "eta_s": 4.0}
    (draft / "events.jsonl").write_text(json.dumps({**event, "values": {"loss": 0.25}}) + "\n")
    said = call(store)
    assert "steps[0].train 3/10 batches, 4 s left, loss 0.25" in said
    assert "1 before it" in said
    assert [each["state"] for each in listed(store)] == ["running", "waiting"]


def test_it_cancels_by_the_beginning_of_an_id_and_clears(hands: Hands, store: Store) -> None:
    first, second = (each.entry_id for each in queue.put([small_job(), small_job(seed=1)], store))
    assert "is the beginning of 2 entries" in call(store, "--cancel", "lenet", code=2)
    assert "no entry 'nothing'" in call(store, "--cancel", "nothing", code=2)
    call(store, "--cancel", first[:-2])
    assert [(each["entry_id"], each["state"]) for each in listed(store)] == [(first, "cancelled"), (second, "waiting")]
    call(store, "--clear")
    assert [each["entry_id"] for each in listed(store)] == [second]


def test_a_failure_is_told_with_its_next_move(hands: Hands, store: Store) -> None:
    queue.put(small_job(), store)
    hands.step()
    hands.end(small_job(), "failed")
    assert "it was to fail → nothing" in call(store)


def test_every_field_of_json_stands_in_the_help(hands: Hands, store: Store) -> None:
    queue.put(small_job(), store)
    hands.step()
    hands.end(small_job(), "failed")
    (entry,) = listed(store)
    said = call(store, "--help")
    assert not [key for key in (*entry, *entry["error"], "entries") if f'"{key}"' not in said]
