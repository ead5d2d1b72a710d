"""An agent of torch.distributed.run and the processes that it started, as their submitter sees them.

`command` is what runs on one host, and `environment` what it runs in: on this host, or wherever an engine places it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from workbench.launch import _order, _worker


def command(wanted: _order.Order, options: Sequence[str]) -> list[str]:
    """Return the words that start one host's agent; `options` are torch.distributed.run's (nproc-per-node, rendezvous …)."""
    return [sys.executable, "-m", "torch.distributed.run", *options, "-m", wanted.module, *wanted.arguments]


def environment(wanted: _order.Order) -> dict[str, str]:
    """Return what such an agent runs in; its processes inherit it."""
    return {**wanted.environment, "TORCHELASTIC_ERROR_FILE": str(Path(wanted.draft, _order.RANKS, "agent.json"))}


class Elastic(_worker.Child):
    """The agent is our child and leads its own session; its processes lead theirs, and end with it (see `workbench.ranks`)."""

    def __init__(self, wanted: _order.Order, options: Sequence[str]) -> None:
        super().__init__(Path(wanted.draft))
        _order.note_start(wanted, "torchrun", " ".join(options))
        (self.draft / _order.RANKS).mkdir(exist_ok=True)
        with (self.draft / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                self.words(wanted, options), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(wanted),
                cwd=wanted.folder, start_new_session=True,
            )  # fmt: skip

    def words(self, wanted: _order.Order, options: Sequence[str]) -> list[str]:
        """Return the command that our child is."""
        return command(wanted, options)

    def first_failure(self) -> str:
        return first_failure(self.draft)

    def send(self, number: int) -> None:
        """Signal the agent, which passes it on; a killed one can't, so its processes are killed, too."""
        below = _below(self.pid) if number != signal.SIGTERM else []
        super().send(number)
        for process in below:
            process.send_signal(number)


def first_failure(draft: Path) -> str:
    """Return what the agent says of the process that failed first, in a line; empty when it said nothing."""
    path = draft / _order.RANKS / "agent.json"
    if not path.exists():
        return ""
    message = orjson.loads(path.read_bytes()).get("message", "")
    text = message.get("message", "") if isinstance(message, dict) else str(message)
    return (text.strip().splitlines() or [""])[0]


def _below(pid: int) -> list[Any]:
    import psutil

    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
