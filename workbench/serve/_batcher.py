"""Answers requests one batch at a time: what arrives while the model works waits together and is answered together.

No timer: a lone request is never kept waiting for company. Models that answer a full batch quicker than a thread is woken run in
the event loop itself, on what came in during its last turn.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.part import Session
from workbench.serve._signature import Signature
from workbench.serve._statistics import Statistics
from workbench.serve.refusal import Refusal

MAX_WAITING = 1024  # requests; one more is refused


@dataclass
class Waiting:
    inputs: Mapping[str, np.ndarray]
    num_examples: int
    done: asyncio.Future[dict[str, np.ndarray]]
    since_ns: int
    alone: bool = False  # a batch with it has failed


class Batcher:
    """One worker thread for one opened model (none for a quick one); lives in one event loop."""

    def __init__(
        self, session: Session, signature: Signature, statistics: Statistics, *, together: bool, is_quick: bool
    ) -> None:
        self.session, self.signature, self.statistics = session, signature, statistics
        self.largest = signature.max_batch if together else 0  # examples in a batch; 0 = each request alone
        self._waiting: deque[Waiting] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._is_busy, self._is_quick = False, is_quick
        self._batch: list[Waiting] = []  # what a quick model answers in this turn
        # With integers among the inputs a model can meet values that it has no row for; floats never fail it.
        self._values_may_fail = any(each.dtype.kind in "iu" for each in signature.inputs.values())

    async def answer(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs by name; raises Refusal when too many wait, or when the model can't take these values."""
        if len(self._waiting) >= MAX_WAITING:
            raise Refusal("too_many", f"{MAX_WAITING} requests are waiting for this model already")
        num_examples = len(next(iter(inputs.values()))) if self.signature.max_batch else 1
        loop = asyncio.get_running_loop()
        waiting = Waiting(inputs, num_examples, loop.create_future(), time.perf_counter_ns())
        self._waiting.append(waiting)
        if not self._is_busy:
            self._begin(loop)
        return await waiting.done

    def close(self) -> None:
        """Let the thread end after what it has begun; nobody asks any more."""
        self._thread.shutdown(wait=False)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_busy = bool(self._waiting)
        if not self._is_busy:
            return
        if self._is_quick:
            turn = loop.create_task(self._turn())
            turn.add_done_callback(lambda ended: self._deliver(self._batch, ended, loop))
            return
        batch = self._take()
        work = loop.run_in_executor(self._thread, self._run, batch)
        work.add_done_callback(lambda ended: self._deliver(batch, ended, loop))

    async def _turn(self) -> list[dict[str, np.ndarray]]:
        """Answer what has come in until now; a task of its own, so that an error stays in it."""
        self._batch = self._take()
        return self._run(self._batch)

    def _take(self) -> list[Waiting]:
        """Take from the queue, in order, what fits into one batch; callers that went away are left out."""
        batch: list[Waiting] = []
        total = 0
        while self._waiting:
            first = self._waiting[0]
            if first.done.cancelled():
                self._waiting.popleft()
                continue
            is_full = total + first.num_examples > self.largest
            if batch and (is_full or batch[0].alone or first.alone or not _fit(batch[0], first)):
                break
            batch.append(self._waiting.popleft())
            total += first.num_examples
        return batch

    def _run(self, batch: list[Waiting]) -> list[dict[str, np.ndarray]]:
        """Call the model, in the worker's thread or in the loop."""
        if not batch:  # all of them went away
            return []
        begun = time.perf_counter_ns()
        if len(batch) == 1:
            outputs = [self.session(batch[0].inputs)]
        else:
            names = batch[0].inputs
            together = self.session({name: np.concatenate([each.inputs[name] for each in batch]) for name in names})
            ends = np.cumsum([each.num_examples for each in batch])
            outputs = [
                {name: array[end - each.num_examples : end] for name, array in together.items()}
                for each, end in zip(batch, ends)
            ]
        self.statistics.ran(batch, begun, time.perf_counter_ns())
        return outputs

    def _deliver(self, batch: list[Waiting], ended: asyncio.Future[Any], loop: asyncio.AbstractEventLoop) -> None:
        """Hand answers to those who wait, then begin the next batch; what failed together is run again one by one."""
        error = ended.exception()
        if error is None:
            for each, output in zip(batch, ended.result()):
                if not each.done.done():
                    each.done.set_result(output)
        elif len(batch) == 1:
            self.statistics.failed(batch[0])
            if not batch[0].done.done():
                batch[0].done.set_exception(self._told(error))
        else:
            for each in reversed(batch):
                each.alone = True
                self._waiting.appendleft(each)
        self._begin(loop)

    def _told(self, error: BaseException) -> BaseException:
        if self._values_may_fail and not isinstance(error, MemoryError):
            first_line = (str(error).splitlines() or [""])[0][:300]
            return Refusal("invalid", f"the model can't take these values: {first_line}")
        return error


def _fit(one: Waiting, other: Waiting) -> bool:
    """Say whether two requests' tensors differ in nothing but the number of examples."""
    return all(array.shape[1:] == other.inputs[name].shape[1:] for name, array in one.inputs.items())
