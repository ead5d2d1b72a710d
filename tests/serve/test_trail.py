"""What is done is counted and written down as it ended, also when the disk is full for a while."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from workbench.errors import WorkbenchError
from workbench.protect import audit, keys
from workbench.serve import _grpc, _trail
from workbench.serve._desk import Desk, Limits
from workbench.serve._metrics import Metrics
from workbench.serve._policy import Policy
from workbench.serve.api_keys import of_token

TOKEN = "0123456789abcdef"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    keys.create(tmp_path / "keys")
    return tmp_path / "audit.jsonl"


@contextlib.contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def full(*_: Any, **__: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(audit.Audit, "_write", full)
        yield


def test_lines_that_the_disk_did_not_take_are_written_later_in_their_order(
    log: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_trail, "GATHER_SECONDS", 0.01)

    async def served() -> None:
        trail = _trail.Trail(log, log.parent / "keys")
        flushing = asyncio.create_task(trail.keep_flushing())
        with full_disk(monkeypatch), caplog.at_level(logging.WARNING):
            trail.gather("app", "127.0.0.1", "infer", "digits", "1", "200")
            await asyncio.sleep(0.2)
            with pytest.raises(WorkbenchError, match="is full"):
                await trail.write("load", model="digits")
        trail.gather("app", "127.0.0.1", "infer", "digits", "2", "200")
        await asyncio.sleep(0.3)
        flushing.cancel()
        await trail.write("stop")

    asyncio.run(served())
    records = [orjson.loads(line) for line in log.read_bytes().splitlines()]
    assert [record["event"] for record in records] == ["requests", "load", "requests", "stop"]
    assert [record["entries"][0][4] for record in records if record["event"] == "requests"] == ["1", "2"]
    assert len(caplog.records) == 1, "said once, not every time"


class Context:
    """What gRPC hands over with a call."""

    def peer(self) -> str:
        return "ipv4:127.0.0.1:1"

    def invocation_metadata(self) -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {TOKEN}")]


def test_a_call_that_raises_is_not_counted_as_answered() -> None:
    desk = Desk(None, Policy(keys=[of_token(TOKEN)]), Metrics(), Limits(), None)  # type: ignore[arg-type]

    async def broken(calls: Any, request: Any, visit: Any) -> Any:
        raise RuntimeError("the model's kernel failed")

    async def answered(calls: Any, request: Any, visit: Any) -> Any:
        return "yes"

    async def called() -> None:
        assert await _grpc._admitted(desk, "ModelMetadata", answered)(None, None, Context()) == "yes"
        with pytest.raises(RuntimeError):
            await _grpc._admitted(desk, "ModelInfer", broken)(None, None, Context())

    asyncio.run(called())
    labels = {"model": "", "version": "", "port": "grpc"}
    counts = {
        status: desk.metrics.registry.get_sample_value("workbench_requests_total", {**labels, "status": status})
        for status in ("OK", "UNKNOWN")
    }
    assert counts == {"OK": 1.0, "UNKNOWN": 1.0}
