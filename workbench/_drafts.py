"""What the draft of a run says while it is made, or of its end when its worker was killed."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import orjson

from workbench.nouns import Run

NOBODY_YET_SECONDS = 30.0  # a draft without an owner this young is about to be taken


def read(draft: Path, run_id: str) -> Run | None:
    """Return a draft as a run that is planned, running or lost; None when there is none, or it was published while we looked."""
    try:
        young = time.time() - draft.stat().st_mtime < NOBODY_YET_SECONDS
    except FileNotFoundError:
        return None
    job, relatives, owner, ended = (_optional(draft / f"{name}.json") for name in ("job", "relatives", "owner", "exit"))
    status, error = _status(owner, ended, young=young)
    if not draft.is_dir():  # renamed since: what was missing was not lost
        return None
    return Run(
        run_id, run_id.rpartition("-")[0], status, job, error=error, folder=str(draft), log="log.txt",
        parent=relatives.get("parent"), reference=relatives.get("reference"),
    )  # fmt: skip


def _status(owner: dict[str, Any], ended: dict[str, Any], *, young: bool) -> tuple[Any, dict[str, Any] | None]:
    if not ended and owner and _alive(owner):
        return "running", None
    if not ended and not owner and young:
        return "planned", None
    code = ended.get("exit_code")
    how = f"exit code {code}" if code is not None else "its exit code is not known"
    if ended.get("signal"):
        how = f"killed by signal {ended['signal']}"
    first = f"; first of its processes: {ended['first']}" if ended.get("first") else ""
    message = ended.get("why") or f"the worker is gone: {how}{first}"
    return "lost", {
        "kind": "killed",
        "signal": ended.get("signal"),
        "message": message,
        "next": "run the same job again: finished steps are kept",
    }


def _alive(owner: dict[str, Any]) -> bool:
    """Say whether the owning process still runs; on another host we can't know and believe it."""
    import psutil

    if owner.get("host") != socket.gethostname():
        return True
    try:
        process = psutil.Process(owner["pid"])
        return abs(process.create_time() - owner["born"]) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _optional(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = orjson.loads(path.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return {}
    return found
