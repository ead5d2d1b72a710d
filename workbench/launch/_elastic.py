"""An agent and the processes that it started, as their submitter sees them.

`order` describes the agent of one host, `command` is what starts it in a new interpreter, wherever an engine places it.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from workbench.launch import _agent, _nursery_place, _order, _worker
from workbench.launch._forked import Forked

HERE = ("--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0")  # all processes are on this host


def order(wanted: _order.Order, options: Sequence[str], *, start: str = "fork") -> _order.Order:
    """Return the agent that starts `wanted` several times; `options` are torch.distributed.run's (nproc-per-node, rendezvous …)."""
    folder = Path(wanted.draft, _order.RANKS)
    folder.mkdir(exist_ok=True)
    environment = {**wanted.environment, "TORCHELASTIC_ERROR_FILE": str(folder / _order.AGENT_ERROR)}
    more = (wanted.module, start, *options)
    return replace(wanted, module=_agent.__name__, more=more, environment=environment, threads=1)


def command(agent: _order.Order) -> list[str]:
    """Return the words that start an agent in a new interpreter."""
    return [sys.executable, "-m", agent.module, *agent.arguments]


def here(wanted: _order.Order, nproc: int, *, restarts: int, start: str = "fork") -> _worker.Worker:
    """Start several of `wanted` on this host, from the warmed parent where that is safe."""
    options = [*HERE, f"--rdzv-id={Path(wanted.draft).name}", f"--nproc-per-node={nproc}", f"--max-restarts={restarts}"]
    agent = order(wanted, options, start=start)
    why = "asked for" if start == "spawn" else _nursery_place.why_not_fork()
    return Spawned(agent, why) if why else Forked(agent)


class Spawned(_worker.Spawned):
    """An agent in a new interpreter; its processes lead sessions of their own."""

    def send(self, number: int) -> None:
        """Signal the agent, which passes TERM on; a killed one can't, so its processes are killed, too."""
        (_worker.signal_group if number == signal.SIGTERM else _worker.signal_tree)(self.pid, number)
