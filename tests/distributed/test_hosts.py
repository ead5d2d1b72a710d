"""Two hosts, as two network namespaces of this machine: one is killed and comes back, the first is replaced, the job finishes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.distributed.test_faults import events, last_update, processes_of, until
from workbench import bench
from workbench.errors import InvalidInput
from workbench.job import Job
from workbench.launch import _host
from workbench.store import DRAFT, Store

ROOT = Path(__file__).parents[2]
FIRST, SECOND, PORT, HOST = "10.77.31.1", "10.77.31.2", 29731, "wb-host-1"
EVERY, EPOCHS = 20, 45


def _ip(*words: str) -> bool:
    return subprocess.run(["ip", *words], capture_output=True).returncode == 0


@pytest.fixture
def second_host() -> Iterator[str]:
    """A network of its own, joined to this one by a cable."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("needs root and iproute2 for network namespaces")
    if not _ip("netns", "add", HOST):
        pytest.skip("network namespaces are not allowed here")
    try:
        assert _ip("link", "add", "wb-first", "type", "veth", "peer", "name", "wb-second")
        assert _ip("link", "set", "wb-second", "netns", HOST)
        assert _ip("addr", "add", f"{FIRST}/24", "dev", "wb-first") and _ip("link", "set", "wb-first", "up")
        assert _ip("-n", HOST, "addr", "add", f"{SECOND}/24", "dev", "wb-second")
        assert _ip("-n", HOST, "link", "set", "wb-second", "up") and _ip("-n", HOST, "link", "set", "lo", "up")
        yield HOST
    finally:
        _kill(HOST)
        _ip("netns", "del", HOST)
        _ip("link", "del", "wb-first")


def _kill(host: str) -> None:
    """Take a host's power away: every process in its network."""
    pids = subprocess.run(["ip", "netns", "pids", host], capture_output=True, text=True).stdout.split()
    for pid in pids:
        subprocess.run(["kill", "-9", pid], capture_output=True)


def job(**launcher: object) -> Job:
    return Job.from_json({
        "model": {"use": "lenet_300_100", "hidden_1": 64, "hidden_2": 32}, "data": {"use": "digits"},
        "steps": [{"use": "train", "epochs": EPOCHS, "batch_size": 16, "learning_rate": 1e-3}], "format": {"use": "onnx"},
        "metrics": ["size"], "layout": {"use": "data_parallel"},
        "launcher": {"use": "torchrun", "nproc": 1, "hosts": 2, "checkpoint_every": EVERY, **launcher},
    })  # fmt: skip


def joined(run_id: str, store: Store, *words: str, within: str = "") -> subprocess.Popen[bytes]:
    place = ["ip", "netns", "exec", within] if within else []
    command = [*place, sys.executable, "-m", "workbench.cli", "join", run_id, "--store", str(store.root), *words]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})


def resumed(folder: Path) -> list[int]:
    return [int(e["text"].split()[-1]) for e in events(folder) if "going on after" in e.get("text", "")]


@pytest.mark.slow
def test_a_killed_host_that_comes_back_and_a_killed_first_one_that_is_replaced_let_the_job_finish(
    second_host: str, store: Store
) -> None:
    draft, worker = bench.submit(job(address=f"{FIRST}:{PORT}", interface="wb-first"), store)
    run_id, as_second = draft.name.removeprefix(DRAFT), ("--host", "1", "--interface", "wb-second")
    started = []
    try:
        started.append(joined(run_id, store, *as_second, within=second_host))
        until(lambda: last_update(draft) > 2 * EVERY)
        _kill(second_host)
        started[0].wait(10)
        killed_at = last_update(draft)
        time.sleep(1.0)
        started.append(joined(run_id, store, *as_second, within=second_host))
        until(lambda: resumed(draft))
        assert killed_at - 2 * EVERY <= resumed(draft)[-1] <= killed_at

        until(lambda: last_update(draft) > resumed(draft)[-1] + 2 * EVERY)
        worker.send(signal.SIGKILL)
        killed_at = last_update(draft)
        assert worker.wait(10) == -signal.SIGKILL
        place = ("--host", "0", "--interface", "wb-first", "--address", f"{FIRST}:{PORT + 1}")
        started.append(joined(run_id, store, *place))
        assert started[-1].wait(240) == 0 and started[-2].wait(60) == 0
    finally:
        worker.cancel(grace=5.0)
        for each in started:
            each.kill()
    run = bench.ended(draft, store)
    assert run.status == "done", run.error
    folder = Path(run.folder)
    assert len(resumed(folder)) == 2 and killed_at - 2 * EVERY <= resumed(folder)[-1] <= killed_at + EVERY
    assert last_update(folder) == EPOCHS * 38  # 598 digits by sixteens
    until(lambda: not processes_of(draft), 10.0)


def test_several_hosts_need_to_know_where_they_meet() -> None:
    with pytest.raises(InvalidInput, match="2 hosts need address=HOST:PORT"):
        bench.check(job())
    bench.check(job(address="10.0.0.1:29500"))
    assert job(address="10.0.0.1:29500", nproc=4).launcher.num_processes == 8


def test_whoever_comes_back_or_finds_a_failure_begins_the_next_attempt_once(tmp_path: Path) -> None:
    hosts = _host.Hosts(2, 1, "10.0.0.1:1", 3, 1, str(tmp_path))
    hosts.write(tmp_path)
    assert _host.Hosts.read(tmp_path) == hosts and _host.newest(tmp_path) == 0
    _host._come_back(tmp_path, 1)
    assert _host.newest(tmp_path) == 0, "the first time it only joins"
    _host._note(tmp_path, 1, 0)
    _host._come_back(tmp_path, 1)
    assert _host.newest(tmp_path) == 1, "it was gone, and the others don't know"
    _host.begin_again(tmp_path, 0)
    assert _host.newest(tmp_path) == 1, "both hosts saw the same failure"
    assert _host.where(tmp_path) == "" and _host.num_failed(tmp_path) == 1
    _host._come_back(tmp_path, 0, "10.0.0.9:1")
    assert _host.newest(tmp_path) == 2 and _host.where(tmp_path) == "10.0.0.9:1"
    _host.begin_again(tmp_path, 2)
    assert _host.where(tmp_path) == "10.0.0.9:1", "the place stays until another one is said"
    assert _host.num_failed(tmp_path) == 2, "to agree on a place is no failure"


def test_joining_what_waits_for_nobody_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="waits for no hosts"):
        _host.take_part(tmp_path, 1)
    _host.Hosts(2, 1, "10.0.0.1:1", 3, 1, str(tmp_path)).write(tmp_path)
    with pytest.raises(InvalidInput, match="host 1 takes no address"):
        _host.take_part(tmp_path, 1, address="10.0.0.9:1")
