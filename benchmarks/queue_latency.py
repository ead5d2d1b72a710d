"""Seconds from a job's entry into the queue until its worker says something, and from a cancel until it is gone.

Bars, with a warm keeper and a warm parent: put returns ≤ 0.05 s; first word and first counted progress ≤ 0.5 s; cancel
≤ 2 s; one look at a list of 200 entries ≤ 0.02 s. Cold starts are reported beside them.
"""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from _results import finish, median

from workbench import queue
from workbench.job import Job
from workbench.launch import _nursery_place
from workbench.queue import Entry
from workbench.store import Store

REPEATS = 7
ENTRIES = 200
JOB = {
    "model": {"use": "lenet_300_100", "hidden_1": 16, "hidden_2": 8},
    "data": "digits",
    "steps": [{"use": "train", "epochs": 5000}],
    "metrics": ["size"],
}


def seconds_until(happens: Callable[[], Any], began: float) -> float:
    while not happens():
        time.sleep(0.005)
        assert time.perf_counter() - began < 300, "it did not happen"
    return time.perf_counter() - began


def state_of(store: Store, entry: Entry) -> Entry:
    return next(each for each in queue.entries(store) if each.entry_id == entry.entry_id)


def once(store: Store, seed: int) -> dict[str, float]:
    """Put a job that never ends by itself, wait for its first words, and cancel it."""
    job = Job.from_json({**JOB, "seed": seed})
    began = time.perf_counter()
    (entry,) = queue.put(job, store)
    took = {"put": time.perf_counter() - began}
    took["word"] = seconds_until(lambda: state_of(store, entry).part, began)
    took["progress"] = seconds_until(lambda: state_of(store, entry).done, began)
    began = time.perf_counter()
    queue.cancel(store, entry.entry_id)
    took["cancel"] = seconds_until(lambda: state_of(store, entry).state == "cancelled", began)
    return took


def leave_parent() -> None:
    """Send the warmed parent away, and wait until it has gone."""
    link = _nursery_place.connect()
    if link:
        with link:
            link.sendall(b'{"do": "leave"}\n')
            link.recv(1)


def looked(store: Store) -> float:
    began = time.perf_counter()
    assert len(queue.entries(store)) >= ENTRIES
    return time.perf_counter() - began


def main() -> None:
    samples: dict[str, list[float]] = defaultdict(list)
    for _ in range(REPEATS):
        leave_parent()
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            for name, seconds in once(Store(folder), 0).items():
                samples[f"cold_{name}"].append(seconds)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        store = Store(folder)
        queue.warm(store)
        once(store, 0)
        for seed in range(1, REPEATS + 1):
            for name, seconds in once(store, seed).items():
                samples[name].append(seconds)
        for entry in queue.put([Job.from_json({**JOB, "seed": 100 + each}) for each in range(ENTRIES)], store):
            queue.cancel(store, entry.entry_id)
        seconds_until(lambda: all(entry.finished for entry in queue.entries(store)), time.perf_counter())
        time.sleep(0.1)
        samples["look"] = [looked(store) for _ in range(REPEATS)]
    figures = {name: median(values) for name, values in samples.items()}
    finish(
        "queue_latency",
        {
            f"put returns in ≤ 0.05 s: {figures['put']:.3f}": figures["put"] <= 0.05,
            f"first word of the worker in ≤ 0.5 s: {figures['word']:.2f}": figures["word"] <= 0.5,
            f"first counted progress in ≤ 0.5 s: {figures['progress']:.2f}": figures["progress"] <= 0.5,
            f"cancelled in ≤ 2 s, every time: {max(samples['cancel']):.2f}": max(samples["cancel"]) <= 2.0,
            f"a look at {ENTRIES} entries takes ≤ 0.02 s: {figures['look']:.4f}": figures["look"] <= 0.02,
        },
        summary=f"put {figures['put']:.3f} s, first progress {figures['progress']:.2f} s warm, {figures['cold_progress']:.1f} s "
        f"cold; cancel {figures['cancel']:.2f} s; a look at {ENTRIES} entries {figures['look'] * 1000:.1f} ms",
        figures=figures,
        samples=samples,
    )


if __name__ == "__main__":
    main()
