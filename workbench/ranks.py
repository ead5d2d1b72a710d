"""The processes that carry out one job together, as each of them sees it: who leads, what all agree on, who failed first.

Rank 0 leads: it alone decides what is kept from before, writes the draft's record, saves, measures and publishes. The others
follow through every step that is spread, and leave after the last. A process that raises writes why into the draft first; a
process that dies, or finds that another has, says nothing and lets the agent that started it start all of them again.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from workbench.launch._order import RANKS


class Ranks:
    """This process's place among `size`; a job in one process has rank 0 of 1."""

    def __init__(self, rank: int, size: int, draft: Path) -> None:
        self.rank, self.size, self.folder = rank, size, draft / RANKS

    @property
    def leads(self) -> bool:
        return self.rank == 0

    @property
    def events(self) -> str:
        """Where this process tells what it does, in the draft."""
        return "events.jsonl" if self.leads else f"{RANKS}/events-{self.rank}.jsonl"

    @contextlib.contextmanager
    def joined(self) -> Iterator[None]:
        """Be in one group with the others inside."""
        if self.size == 1:
            yield
            return
        import torch
        import torch.distributed as dist
        from torch.distributed.rendezvous import rendezvous

        has_devices = torch.cuda.is_available() and torch.cuda.device_count() >= int(os.environ["LOCAL_WORLD_SIZE"])
        if has_devices:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        # After a restart the agent's store still holds the addresses of the processes before (torch 2.13): they need a prefix.
        store, rank, size = next(rendezvous("env://"))
        store = dist.PrefixStore(f"attempt-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
        backend = "cpu:gloo,cuda:nccl" if has_devices else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size)
        yield
        dist.destroy_process_group()

    def agree(self, value: Any) -> Any:
        """Return the leader's value on every process (a small picklable one); the others' doesn't matter."""
        if self.size == 1:
            return value
        import torch
        import torch.distributed as dist

        told = [value]
        dist.broadcast_object_list(told, src=0, device=torch.device("cpu"))
        return told[0]

    def write_apart(self) -> None:
        """Let what this process prints go to a file of its own, in the draft.

        The agent's --redirects would make the draft's folder anew when it starts processes after the run was published.
        """
        self.folder.mkdir(exist_ok=True)
        log = os.open(self.folder / f"log-{self.rank}.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.close(log)

    def note_failure(self, error: dict[str, Any]) -> None:
        """Write why this process failed, with the time, before the others can notice."""
        self.folder.mkdir(exist_ok=True)
        partial = self.folder / f"failed-{self.rank}.partial"
        partial.write_bytes(orjson.dumps({"t": time.time(), "rank": self.rank, "error": error}))
        partial.replace(self.folder / f"failed-{self.rank}.json")

    def first_failure(self) -> dict[str, Any] | None:
        """Return the error of the process that failed first, its message naming the rank; None when none has said so."""
        told = [orjson.loads(path.read_bytes()) for path in self.folder.glob("failed-*.json")]
        if not told:
            return None
        first = min(told, key=lambda each: each["t"])
        return {**first["error"], "message": f"rank {first['rank']} of {self.size}: {first['error']['message']}"}


ALONE = Ranks(0, 1, Path())


def mine(draft: Path) -> Ranks:
    """Return this process's place, from the environment that torch.distributed.run gives it."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return Ranks(0, 1, draft)
    return Ranks(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), draft)


def is_loss_of_another(error: BaseException) -> bool:
    """Say whether an error only tells that another process is gone."""
    import torch.distributed as dist

    if isinstance(error, dist.DistError):
        return True
    words = ("gloo/transport", "Connection closed by peer", "Connection reset by peer", "NCCL communicator was aborted")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)
