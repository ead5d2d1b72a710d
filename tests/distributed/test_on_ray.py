"""A job on a Ray cluster of two nodes, one of which is killed: it goes on, ends when told to, and leaves nothing."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.distributed.test_faults import EVERY, events, job, last_update, processes_of, started, until
from tests.two_ray_nodes import PATIENCE, TOKEN, TwoNodes
from workbench import bench, catalog
from workbench.launch import _ray_cluster
from workbench.store import DRAFT, Store

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra `ray`")


@pytest.fixture(scope="module")
def two() -> Iterator[TwoNodes]:
    made = TwoNodes()
    with pytest.MonkeyPatch.context() as patch:
        for name in (*TOKEN, *PATIENCE):
            patch.setenv(name, made.environment[name])
        yield made
    made.end()


def ray(two: TwoNodes, **changes: Any) -> dict[str, Any]:
    return {"use": "ray", "address": two.address, "nodes": 2, "nproc": 1, "checkpoint_every": EVERY, **changes}


@needs_ray
@pytest.mark.slow
def test_a_lost_node_is_replaced_and_the_job_goes_on_from_its_checkpoint_and_ends_when_told_to(
    two: TwoNodes, store: Store
) -> None:
    draft, worker = bench.submit(job(launcher=ray(two)), store)
    until(lambda: last_update(draft) > 2 * EVERY or worker.poll() is not None)
    assert worker.poll() is None, (draft / "log.txt").read_text()
    before = started(draft)
    two.kill_the_second()
    until(lambda: len([e for e in events(draft) if "going on after" in e.get("text", "")]) == 1)
    assert not any(psutil.pid_exists(pid) for pid in before.values()), "both were started again"
    told = events(draft)
    place, resumed = next(
        (at, int(e["text"].split()[-1])) for at, e in enumerate(told) if "going on after" in e.get("text", "")
    )
    reached = max(
        e["done"] for e in told[:place] if e["kind"] == "progress"
    )  # a quick machine trains on while a node is killed
    assert reached - 2 * EVERY <= resumed <= reached + EVERY
    assert any("is lost" in e.get("text", "") for e in events(draft))
    until(lambda: last_update(draft) > resumed + EVERY)
    worker.cancel(grace=60.0)
    run = bench.ended(draft, store)
    assert run.status == "cancelled", run.error
    assert not processes_of(draft)


@needs_ray
@pytest.mark.slow
def test_what_the_cluster_has_no_room_for_is_said(two: TwoNodes, store: Store) -> None:
    run = bench.carry_out(job(launcher=ray(two, resources={"gpu": 1})), store)
    assert run.status == "lost" and run.error and "no machine of the cluster has CPU=1, GPU=1" in run.error["message"]
    assert not Path(store.root / f"{DRAFT}{run.run_id}" / "ranks" / "hosts.json").exists()


@needs_ray
def test_what_ray_tells_by_itself_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """The call is that of its listener, which hears of lost nodes; with --json stdout holds JSON alone."""
    from ray._private import worker

    _ray_cluster._tell_on_stderr()
    told = {"lines": ["a node is lost"], "pid": "raylet", "is_err": False}
    worker.print_to_stdstream(told, ignore_prefix=False)
    out, err = capsys.readouterr()
    assert not out and "a node is lost" in err


def test_what_is_asked_of_a_cluster_is_shown_before(tmp_path: Path) -> None:
    record = {"use": "ray", "threads": 2, "resources": {"gpu": 4, "memory": 1.5e9, "fast": 1}}
    launcher: Any = catalog.make("launch", {**record, "nodes": 2, "nproc": 4})
    assert "SPREAD: 2 × (CPU=8, GPU=4, memory=1.5e+09, fast=1)" in launcher.preview(tmp_path, tmp_path)
    assert launcher.num_processes == 8 and not launcher.why_not()
    assert "one task (CPU=2, GPU=4" in catalog.make("launch", record).preview(tmp_path, tmp_path)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("changes", "said"), [({"address": "ray://a:1"}, "as in HOST:6379"), ({"resources": {"gpu": -1}}, "less than 0")]
)
def test_what_ray_can_not_take_is_refused(changes: dict[str, Any], said: str) -> None:
    (reason,) = catalog.make("launch", {"use": "ray", **changes}).why_not()  # type: ignore[attr-defined]
    assert said in reason


@pytest.mark.parametrize(("cores", "fit"), [(1.0, 4), (2.0, 2), (3.0, 0)])
def test_room_is_counted_by_node(cores: float, fit: int) -> None:
    """Four cores on two nodes hold two agents of two processes, and none of three."""
    nodes = [{"CPU": 2.0, "node:a": 1.0}, {"CPU": 2.0}]
    assert _ray_cluster.places({"CPU": cores, "GPU": 0.0}, nodes) == fit
