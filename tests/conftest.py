"""Fixtures for everybody: a store of one's own, a small trained job, and quiet test processes."""

from __future__ import annotations

import asyncio
import collections
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
# Tests check what a measurement holds, not how fast this machine is: they need not wait for other people's measuring.
os.environ.setdefault("WORKBENCH_LOCKS", tempfile.mkdtemp(prefix="workbench-locks-"))


@pytest.fixture
def store(tmp_path: Path):  # noqa: ANN201
    from workbench.store import Store

    return Store(tmp_path / "runs")


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory):  # noqa: ANN201
    """One store for a whole worker's session: trained prefixes are made once."""
    from workbench.store import Store

    return Store(tmp_path_factory.mktemp("shared") / "runs")


def small_job(**changes):  # noqa: ANN003, ANN201
    """Return a job that takes a second: LeNet-300-100 narrowed, one epoch, size only."""
    from workbench.job import Job

    record = {
        "model": {"use": "lenet_300_100", "hidden_1": 16, "hidden_2": 8},
        "data": {"use": "digits"},
        "steps": [{"use": "train", "epochs": 1}],
        "format": {"use": "onnx"},
        "metrics": [{"use": "size"}],
    }
    return Job.from_json({**record, **changes})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: begun last, one would keep a single worker busy at the end."""
    weights = collections.Counter[Path]()
    for item in items:
        weights[item.path] += 20 if item.get_closest_marker("slow") or item.get_closest_marker("browser") else 1
    items.sort(key=lambda item: (-weights[item.path], str(item.path)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    yield from _without_the_browsers_loop(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    yield from _without_the_browsers_loop(item)


def _without_the_browsers_loop(item: pytest.Item) -> Iterator[None]:
    """Playwright leaves its event loop in the main thread, as if it ran there: other tests couldn't run one of their own."""
    if item.get_closest_marker("browser"):
        return (yield)
    loop = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        return (yield)
    finally:
        asyncio._set_running_loop(loop)
