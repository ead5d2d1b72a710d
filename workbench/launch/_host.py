"""One host's part in a job over several: keeps an agent of torch.distributed.run going, in step with the other hosts.

The hosts agree through files in the draft, which all of them see: `ranks/attempt-N` is written by whichever host finds that
attempt N−1 has failed, or comes back into it after it was gone, and every host then ends its agent and begins attempt N
from the last checkpoint. Agents themselves start nothing again: a host that is lost can't tell the others, so waiting for
its word, as elastic rendezvous does, ended in 2 of 2 tries with a job that hung (torch 2.13).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from workbench.errors import InvalidInput
from workbench.launch import _elastic, _order

FILE = "hosts.json"
MEET = "WORKBENCH_FIRST_HOST"  # HOST:PORT where an engine knows it only once it has chosen hosts
SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_TO_END = 10.0


@dataclass(frozen=True)
class Hosts:
    """What the hosts of one job agree on."""

    num_hosts: int
    nproc: int  # processes on each
    address: str  # HOST:PORT of the first one, where they meet
    restarts: int  # attempts after the first
    threads: int
    store: str
    module: str = _order.MODULE

    def write(self, draft: Path) -> None:
        folder = draft / _order.RANKS
        folder.mkdir(exist_ok=True)
        (folder / FILE).write_bytes(orjson.dumps(asdict(self)))
        (folder / "attempt-0").touch()

    @classmethod
    def read(cls, draft: Path) -> Hosts:
        """Return what was agreed on; raises InvalidInput where nobody waits for hosts."""
        path = draft / _order.RANKS / FILE
        if not path.exists():
            raise InvalidInput(
                [f"{draft.name} waits for no hosts"],
                next_move="start it with --launcher 'torchrun hosts=2 address=HOST:PORT', and join while it runs",
            )
        return cls(**orjson.loads(path.read_bytes()))


def take_part(draft: Path, host: int, *, interface: str = "") -> int:
    """Keep this host's agent going until the job has ended; returns its exit code. TERM and INT end it."""
    hosts = Hosts.read(draft)
    if not 0 <= host < hosts.num_hosts:
        raise InvalidInput([f"host {host}: this job has hosts 0 to {hosts.num_hosts - 1}"])
    _come_back(draft, host)
    keeping = _Keeping(draft, host, hosts, interface)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: keeping.stop())
    return keeping.go()


class _Keeping:
    def __init__(self, draft: Path, host: int, hosts: Hosts, interface: str) -> None:
        self.draft, self.host, self.hosts, self.interface = draft, host, hosts, interface
        self.stopping = False
        self.agent: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        """End the agent, which lets its processes finish the update and leave."""
        self.stopping = True
        if self.agent is not None:
            self.agent.terminate()

    def go(self) -> int:
        while (attempt := newest(self.draft)) <= self.hosts.restarts:
            _note(self.draft, self.host, attempt)
            code = self._attempt(attempt)
            if code == 0 or self.stopping or not self.draft.is_dir():
                return code
            if newest(self.draft) == attempt:
                begin_again(self.draft, attempt)
        return 1

    def _attempt(self, attempt: int) -> int:
        """Run one agent; returns its exit code, early where another host has begun a newer attempt."""
        with (self.draft / "log.txt").open("ab") as log:
            self.agent = subprocess.Popen(
                self._words(attempt), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment()
            )
        while (code := self.agent.poll()) is None:
            if not self.stopping and (newest(self.draft) > attempt or not self.draft.is_dir()):
                return self._ended()
            time.sleep(SECONDS_BETWEEN_LOOKS)
        return code

    def _ended(self) -> int:
        """End an agent that nobody needs any more; one that is finishing gets the time for it."""
        assert self.agent is not None
        if not self.draft.is_dir():
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.agent.wait(SECONDS_TO_END)
        self.agent.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.agent.wait(SECONDS_TO_END)
        self.agent.kill()  # its processes end with it
        return self.agent.wait()

    def _words(self, attempt: int) -> list[str]:
        host, _, port = os.environ.get(MEET, self.hosts.address).rpartition(":")
        options = [
            f"--nnodes={self.hosts.num_hosts}", f"--nproc-per-node={self.hosts.nproc}", f"--node-rank={self.host}", "--max-restarts=0",
            f"--master-addr={host}", f"--master-port={port}", f"--rdzv-id={self.draft.name}-{attempt}",
        ]  # fmt: skip
        return _elastic.command(self._order(), options)

    def _order(self) -> _order.Order:
        made = _order.order(self.draft, Path(self.hosts.store), self.hosts.threads)
        return _order.Order(**{**made.to_json(), "module": self.hosts.module})

    def _environment(self) -> dict[str, str]:
        named = {"GLOO_SOCKET_IFNAME": self.interface, "NCCL_SOCKET_IFNAME": self.interface} if self.interface else {}
        return {**_elastic.environment(self._order()), **named}


def newest(draft: Path) -> int:
    """Return the number of the attempt that counts."""
    found = (path.name.removeprefix("attempt-") for path in (draft / _order.RANKS).glob("attempt-*"))
    return max((int(number) for number in found), default=0)


def begin_again(draft: Path, attempt: int) -> None:
    """Let every host begin a new attempt, unless that has been said already or the job has ended."""
    folder = draft / _order.RANKS
    if folder.is_dir():
        (folder / f"attempt-{attempt + 1}").touch()


def _note(draft: Path, host: int, attempt: int) -> None:
    """Say which attempt a host takes part in, so that one which comes back is known."""
    path = draft / _order.RANKS / f"host-{host}.json"
    path.write_bytes(orjson.dumps({"attempt": attempt, "pid": os.getpid()}))


def _come_back(draft: Path, host: int) -> None:
    path = draft / _order.RANKS / f"host-{host}.json"
    if not path.exists():
        return
    before: Mapping[str, Any] = orjson.loads(path.read_bytes())
    if before["attempt"] == newest(draft):
        begin_again(draft, before["attempt"])


if __name__ == "__main__":
    sys.exit(take_part(Path(sys.argv[1]), int(sys.argv[2]), interface=sys.argv[3]))
