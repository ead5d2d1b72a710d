"""From a job to a run: prefixes are shared, failures are recorded, relatives come first."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.promises._every import carried_out_here, small_job
from workbench import artifact, bench, catalog, machine
from workbench.errors import ArtifactError, InvalidInput, WorkbenchError
from workbench.job import Job
from workbench.prefix import PrefixCache
from workbench.store import Store


def predictions(run: Any) -> np.ndarray:
    with np.load(Path(run.folder) / "samples" / "predictions.npz") as arrays:
        return arrays["test_outputs"]


def with_quality(*steps: Any, **changes: Any) -> Job:
    return small_job(*steps, metrics=[{"use": "quality"}], **changes)


def test_a_shared_prefix_is_trained_once(store: Store) -> None:
    first = carried_out_here(small_job({"use": "magnitude_prune", "sparsity": 0.5}), store)
    second = carried_out_here(small_job({"use": "magnitude_prune", "sparsity": 0.9}), store)
    assert first.cached == ()
    assert second.cached == ("steps[0].train",)
    assert first.cpu_seconds["steps[0].train"] > 0
    assert second.cpu_seconds["steps[0].train"] == 0


def test_cached_equals_uncached(tmp_path: Path) -> None:
    """A step after a kept prefix sees the same seeds as one after a prefix that was just made."""
    step = {"use": "train", "epochs": 1, "augment": "mixup"}
    fresh = carried_out_here(with_quality(step), Store(tmp_path / "fresh"))
    warm = Store(tmp_path / "warm")
    carried_out_here(with_quality(), warm)
    cached = carried_out_here(with_quality(step), warm)
    assert cached.cached == ("steps[0].train",)
    assert np.array_equal(predictions(fresh), predictions(cached))


def test_another_seed_gives_another_model(store: Store) -> None:
    runs = [carried_out_here(with_quality(seed=seed), store) for seed in (0, 1)]
    assert not np.array_equal(*(predictions(run) for run in runs))


def test_a_damaged_prefix_is_made_again(store: Store) -> None:
    carried_out_here(small_job(), store)
    states = list((store.root / ".cache").glob("*.state"))
    assert len(states) == 1
    states[0].write_bytes(states[0].read_bytes()[:1000])
    run = carried_out_here(small_job({"use": "magnitude_prune"}), store)
    assert run.status == "done"
    assert run.cached == ()


def test_kept_states_are_private(store: Store) -> None:
    carried_out_here(small_job(), store)
    kept = list((store.root / ".cache").glob("*.state"))
    assert kept
    for path in kept:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_cache_removes_the_oldest_beyond_its_cap(store: Store) -> None:
    from workbench.prefix import State

    cache = PrefixCache(store.root, cap_bytes=3000)
    for index, key in enumerate(("one", "two", "three")):
        cache.put(key, State(None, controls={"x": np.zeros(250)}))  # type: ignore[arg-type]
        os.utime(cache.root / f"{key}.state", (index, index))
    cache.put("four", State(None, controls={"x": np.zeros(250)}))  # type: ignore[arg-type]
    assert cache.has("four")
    assert not cache.has("one")


def test_a_state_that_another_worker_removes_meanwhile_fails_no_job(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.prefix import State

    cache = PrefixCache(store.root, cap_bytes=0)
    cache.put("one", State(None))  # type: ignore[arg-type]
    glob = Path.glob

    def removed_meanwhile(self: Path, pattern: str) -> list[Path]:
        found = list(glob(self, pattern))
        (cache.root / "one.state").unlink(missing_ok=True)
        return found

    monkeypatch.setattr(Path, "glob", removed_meanwhile)
    cache.put("two", State(None))  # type: ignore[arg-type]
    assert cache.has("two")


def test_a_cap_that_is_no_number_is_refused_in_words(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_CACHE_BYTES", "20 GB")
    with pytest.raises(InvalidInput, match="'20 GB' is no number of bytes"):
        PrefixCache(store.root)


def test_a_step_that_fails_is_a_run_with_its_traceback(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    cls = catalog.get("compress", "magnitude_prune")

    def broken(self: Any, model: Any, ctx: Any) -> Any:
        raise ZeroDivisionError("nothing to rank")

    monkeypatch.setattr(cls, "run", broken)
    run = carried_out_here(small_job({"use": "magnitude_prune"}), store)
    assert run.status == "failed"
    assert run.error is not None
    assert "nothing to rank" in run.error["message"]
    assert "ZeroDivisionError" in run.error["traceback"]
    assert run.error["next"]
    assert store.find(run.job_id) is None, "a failed run is not taken for the result"


def test_a_full_disk_is_told_as_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(store.root / "model.onnx"))

    monkeypatch.setattr(catalog.get("formats", "onnx"), "save", full)
    run = carried_out_here(small_job(), store)
    assert run.status == "failed"
    assert run.error is not None
    assert run.error["kind"] == "disk_full"
    assert str(store.root) in run.error["message"]


def test_the_kept_steps_survive_a_failure_after_them(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(catalog.get("formats", "onnx"), "save", lambda *_: 1 / 0)
        assert carried_out_here(small_job(), store).status == "failed"
    again = carried_out_here(small_job(), store)
    assert again.status == "done"
    assert again.cached == ("steps[0].train",)


def test_the_parent_and_the_reference_come_first_and_are_runs(store: Store) -> None:
    job = small_job({"use": "bfloat16"}, format={"use": "pt2"})
    run = bench.carry_out(job, store)
    assert run.status == "done", run.error
    assert run.parent and run.reference
    parent, reference = store.get(run.parent), store.get(run.reference)
    assert (parent.job["format"]["use"], reference.job["format"]["use"]) == ("pt2", "onnx")
    assert [step["use"] for step in parent.job["steps"]] == ["train"]
    assert bench.carry_out(job, store).run_id == run.run_id, "a finished job is not done again"
    assert bench.carry_out(job, store, again=True).run_id != run.run_id


def test_whoever_holds_the_machine_alone_is_refused_a_run_that_would_wait_for_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_LOCKS", str(tmp_path / "locks"))
    with machine.Quiet() as quiet, quiet.exclusive(), pytest.raises(WorkbenchError, match="wait for ever"):
        bench.carry_out(small_job(), store)
    assert not store.drafts() and not machine.Quiet.num_alone


def test_a_worker_that_waits_while_others_measure_says_so(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_LOCKS", str(tmp_path / "locks"))
    others = machine.Quiet().__enter__()
    alone = contextlib.ExitStack()
    alone.enter_context(others.exclusive())
    threading.Timer(0.3, alone.close).start()
    run = carried_out_here(small_job(), store)
    others.__exit__()
    assert run.status == "done"
    assert bench.WAITS in (Path(run.folder) / "events.jsonl").read_text()


def test_the_launcher_is_not_part_of_the_job_id() -> None:
    job = small_job()
    other = Job.from_json({**job.to_json(), "launcher": {"use": "process", "threads": 2}})
    assert other.job_id == job.job_id
    assert Job.from_json({**job.to_json(), "seed": 1}).job_id != job.job_id


def test_precision_comes_last() -> None:
    job = small_job({"use": "int8_static"}, {"use": "magnitude_prune"})
    with pytest.raises(InvalidInput, match="put magnitude_prune before it"):
        bench.check(job)


def test_all_reasons_are_told_at_once() -> None:
    job = small_job({"use": "magnitude_prune", "skip": ["conv9"]}, {"use": "bfloat16"})
    with pytest.raises(InvalidInput) as told:
        bench.check(job)
    assert len(told.value.problems) >= 2
    assert "conv9" in str(told.value)
    assert "bfloat16" in str(told.value)


@pytest.mark.parametrize("damage", ["truncate", "change", "remove"])
def test_a_damaged_artifact_is_refused_by_name(store: Store, damage: str) -> None:
    run = carried_out_here(small_job(), store)
    path = Path(run.folder) / "artifact" / "model.onnx"
    whole = path.read_bytes()
    if damage == "truncate":
        path.write_bytes(whole[:-10])
    elif damage == "change":
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    else:
        path.unlink()
    with pytest.raises(ArtifactError, match="model.onnx"):
        artifact.open_session(artifact.read(path.parent))


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"model": "lenet_6", "data": "digits"}, "did you mean 'lenet_5'"),
        ({"model": "lenet_5"}, "data is missing"),
        ({"model": "lenet_5", "data": "digits", "steps": "train"}, "expected a list"),
        ({"model": "lenet_5", "data": "digits", "sede": 1}, "did you mean 'seed'"),
        ({"model": "lenet_5", "data": "digits", "seed": -1}, "seed"),
        ({"model": "lenet_5", "data": "digits", "schema": 7}, "schema 7"),
        ({"model": 7, "data": "digits"}, "expected"),
        ([], "a job is a JSON object"),
    ],
)
def test_a_bad_job_says_what_is_wrong(record: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        Job.from_json(record)
