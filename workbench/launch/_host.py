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
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from workbench.errors import InvalidInput
from workbench.launch import _bound, _elastic, _order, _worker

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
    start: str = "fork"

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


def take_part(
    draft: Path, host: int, *, interface: str = "", address: str = "", say: Callable[[str], None] = lambda text: None
) -> int:
    """Keep this host's agent going until the job has ended; returns its exit code. TERM and INT end it.

    `address` (HOST:PORT of this one) is where all meet from now on: a first host that takes the place of a lost one says so.
    """
    _bound.end_with_parent()
    hosts = Hosts.read(draft)
    if not 0 <= host < hosts.num_hosts:
        raise InvalidInput([f"host {host}: this job has hosts 0 to {hosts.num_hosts - 1}"])
    if address and host:
        raise InvalidInput([f"host {host} takes no address: all meet at the first one, host 0"])
    _come_back(draft, host, address)
    keeping = _Keeping(draft, host, hosts, interface, say)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: keeping.stop())
    return keeping.go()


class First(_worker.Child):
    """The first host's part, kept going on this machine by a process of its own."""

    def __init__(self, wanted: _order.Order, interface: str) -> None:
        super().__init__(Path(wanted.draft))
        _order.note_start(wanted, "spawn", "as the first of several hosts")
        with (self.draft / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", __name__, wanted.draft, "0", interface], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env=wanted.environment, cwd=wanted.folder, start_new_session=True,
            )  # fmt: skip

    def send(self, number: int) -> None:
        _worker.signal_tree(self.pid, number) if number != signal.SIGTERM else super().send(number)


class _Keeping:
    def __init__(
        self, draft: Path, host: int, hosts: Hosts, interface: str, say: Callable[[str], None] = lambda text: None
    ) -> None:
        self.draft, self.host, self.hosts, self.interface, self.say = draft, host, hosts, interface, say
        self.stopping = False
        self.agent: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        """End the agent, which lets its processes finish the update and leave."""
        self.stopping = True
        if self.agent is not None:
            self.agent.terminate()

    def go(self) -> int:
        while num_failed(self.draft) <= self.hosts.restarts:
            attempt = newest(self.draft)
            _note(self.draft, self.host, attempt)
            self._tell(attempt)
            code = self._attempt(attempt)
            if code == 0 or self.stopping or not self.draft.is_dir():
                return code
            if newest(self.draft) == attempt:
                begin_again(self.draft, attempt)
        return 1

    def _tell(self, attempt: int) -> None:
        text = f"attempt {attempt + 1}: meeting at {self._meeting_place()}"
        if attempt and self.host:
            join = f"workbench join {self.draft.name.removeprefix('.draft-')} --host 0"
            text += f"; when the first host is gone: {join} there, or with --address HOST:PORT on another"
        self.say(text)

    def _meeting_place(self) -> str:
        return where(self.draft) or os.environ.get(MEET, self.hosts.address)

    def _attempt(self, attempt: int) -> int:
        """Run one agent; returns its exit code, early where another host has begun a newer attempt."""
        agent = self._agent(attempt)
        with (self.draft / "log.txt").open("ab") as log:
            self.agent = subprocess.Popen(
                _elastic.command(agent), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=agent.environment
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

    def _agent(self, attempt: int) -> _order.Order:
        host, _, port = self._meeting_place().rpartition(":")
        options = [
            f"--nnodes={self.hosts.num_hosts}", f"--nproc-per-node={self.hosts.nproc}", f"--node-rank={self.host}", "--max-restarts=0",
            f"--master-addr={host}", f"--master-port={port}", f"--rdzv-id={self.draft.name}-{attempt}",
        ]  # fmt: skip
        wanted = _order.order(self.draft, Path(self.hosts.store), self.hosts.threads)
        agent = _elastic.order(replace(wanted, module=self.hosts.module), options, start=self.hosts.start)
        named = {"GLOO_SOCKET_IFNAME": self.interface, "NCCL_SOCKET_IFNAME": self.interface} if self.interface else {}
        return replace(agent, environment={**agent.environment, **named, **_bound.to_this()})


def newest(draft: Path) -> int:
    """Return the number of the attempt that counts."""
    return max(_attempts(draft), default=0)


def num_failed(draft: Path) -> int:
    """Count the attempts that failed; where hosts only agreed on another place to meet, nothing had."""
    return sum(1 for number, address in _attempts(draft).items() if number and not address)


def where(draft: Path) -> str:
    """Return HOST:PORT where the hosts meet since one of them said so; empty = where they were told at first."""
    said = _attempts(draft)
    return next((said[number] for number in sorted(said, reverse=True) if said[number]), "")


def _attempts(draft: Path) -> dict[int, str]:
    """Return what stands in each attempt's file: the place that its host wants all to meet at, if any."""
    found = {}
    for path in (draft / _order.RANKS).glob("attempt-*"):
        with contextlib.suppress(FileNotFoundError):  # the run was published meanwhile
            found[int(path.name.removeprefix("attempt-"))] = path.read_text()
    return found


def begin_again(draft: Path, attempt: int, address: str = "") -> None:
    """Let every host begin a new attempt, unless that has been said already or the job has ended."""
    folder = draft / _order.RANKS
    if not folder.is_dir():
        return
    if not address:
        (folder / f"attempt-{attempt + 1}").touch()
        return
    partial = folder / f"address-{os.getpid()}"
    partial.write_text(address)
    partial.replace(folder / f"attempt-{attempt + 1}")


def _note(draft: Path, host: int, attempt: int) -> None:
    """Say which attempt a host takes part in, so that one which comes back is known."""
    path = draft / _order.RANKS / f"host-{host}.json"
    path.write_bytes(orjson.dumps({"attempt": attempt, "pid": os.getpid()}))


def _come_back(draft: Path, host: int, address: str = "") -> None:
    if address:
        begin_again(draft, newest(draft), address)
        return
    path = draft / _order.RANKS / f"host-{host}.json"
    if not path.exists():
        return
    before: Mapping[str, Any] = orjson.loads(path.read_bytes())
    if before["attempt"] == newest(draft):
        begin_again(draft, before["attempt"])


def main(arguments: list[str]) -> int:
    """`DRAFT HOST INTERFACE`, and where a new first host wants all to meet: `ADDRESS`."""
    draft, host, interface, *address = arguments
    return take_part(Path(draft), int(host), interface=interface, address="".join(address))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
