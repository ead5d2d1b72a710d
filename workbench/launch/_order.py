"""What a worker is started with, whichever way it is started, and what a start and a death leave in its draft."""

from __future__ import annotations

import datetime
import os
import signal
import site
import subprocess
import sys
import sysconfig
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import orjson

import workbench
from workbench.launch import _bound

MODULE = "workbench.bench"
ROOT = str(Path(workbench.__file__).parents[1])
RANKS = "ranks"  # folder in a draft, where several processes work: events-N.jsonl, failed-N.json, log-N.txt, agent.json
AGENT_ERROR = "agent.json"  # there: what their agent says of the one that failed first
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
BATCH_MARK = "WORKBENCH_BATCH_ROW"  # which row of a batch a process belongs to and ends with
NO_TELEMETRY = {"ORT_DISABLE_TELEMETRY": "1"}  # ONNX Runtime's reporting is a thread, a database and noise


@dataclass(frozen=True)
class Order:
    """One worker to be started: its draft and store, and everything of the submitter's process that it shall see."""

    draft: str
    store: str
    threads: int
    folder: str  # working directory
    path: tuple[str, ...]  # sys.path
    environment: dict[str, str]
    module: str = MODULE  # its `main` takes the arguments that `python -m` gives it
    more: tuple[str, ...] = ()  # arguments after draft and store

    @property
    def arguments(self) -> list[str]:
        return ["work", self.draft, self.store, *self.more]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def order(draft: Path, store: Path, threads: int) -> Order:
    """Describe a worker that sees what this process sees."""
    return Order(str(draft), str(store), threads, os.getcwd(), tuple(search_path()), environment(threads))


def search_path() -> list[str]:
    """Return where this process finds modules, with the working directory by its name."""
    return [entry or os.getcwd() for entry in sys.path]


def environment(threads: int) -> dict[str, str]:
    """Return the environment of a process that computes with `threads` and finds the modules that this one finds."""
    additions = [entry for entry in search_path() if not _is_standard(entry)]
    return {
        **NO_TELEMETRY,
        **lasting_environment(),
        **dict.fromkeys(THREAD_VARIABLES, str(threads)),
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": os.pathsep.join(additions),
    }


def lasting_environment() -> dict[str, str]:
    """Return this process's environment for one that outlives it, and the row of a batch which happens to start it."""
    return {name: value for name, value in os.environ.items() if name not in (BATCH_MARK, _bound.VARIABLE)}


def _is_standard(entry: str) -> bool:
    """Say whether every interpreter of this installation has this entry of sys.path by itself."""
    own = {*site.getsitepackages(), site.getusersitepackages(), *sysconfig.get_paths().values()}
    return entry in own or entry.endswith((".zip", "lib-dynload"))


def spawn(wanted: Order) -> subprocess.Popen[bytes]:
    """Start a fresh interpreter that leads its own session and writes to the draft's log.txt."""
    with Path(wanted.draft, "log.txt").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", wanted.module, *wanted.arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=wanted.environment, cwd=wanted.folder, start_new_session=True,
        )  # fmt: skip


def note_start(wanted: Order, start: Literal["fork", "spawn", "slurm", "kubernetes", "ray"], why: str) -> None:
    """Record how a worker is started, before it is: launcher.json, and the first line of its events."""
    draft = Path(wanted.draft)
    (draft / "launcher.json").write_bytes(orjson.dumps({"start": start, "why": why}))
    note(draft, f"started by {start}: {why}")


def note(draft: Path, text: str) -> None:
    """Add a line of log to a draft's events."""
    moment = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    record = {"t": moment, "seq": 0, "run_id": draft.name.removeprefix(".draft-"), "part": "", "kind": "log"}
    with (draft / "events.jsonl").open("ab") as events:
        events.write(orjson.dumps({**record, "text": text}) + b"\n")


def note_death(draft: Path, code: int | None, why: str = "") -> None:
    """Write exit.json into a draft that was left; `code` as subprocess counts it, None when nobody knows it.

    Of several processes it says which one failed first, and how; `why`, where the job never ran, why not.
    """
    if draft.is_dir() and not (draft / "exit.json").exists():
        name = signal.Signals(-code).name if code is not None and code < 0 else None
        first = first_failure(draft)
        more = {key: text for key, text in (("first", first), ("why", why)) if text}
        (draft / "exit.json").write_bytes(orjson.dumps({"exit_code": code, "signal": name, **more}))


def first_failure(draft: Path) -> str:
    """Return what an agent says of the process that failed first, in a line; empty when it said nothing, or there is none."""
    path = draft / RANKS / AGENT_ERROR
    if not path.exists():
        return ""
    message = orjson.loads(path.read_bytes()).get("message", "")
    text = message.get("message", "") if isinstance(message, dict) else str(message)
    return (text.strip().splitlines() or [""])[0]


def note_first_failure(draft: Path, text: str) -> None:
    """Say in an agent's stead why nothing could be started; what an agent has said stays."""
    path = draft / RANKS / AGENT_ERROR
    if path.parent.is_dir() and not path.exists():
        path.write_bytes(orjson.dumps({"message": text}))
