"""One thread that alone touches widgets: handlers only leave word, whatever thread the kernel calls them on.

Callbacks run on different threads in different versions of ipykernel, and wait while a cell is busy. So a handler calls
`do`, which returns at once, and everything that changes a trait happens here, one thing after the other.
"""

from __future__ import annotations

import collections
import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from workbench.errors import WorkbenchError

OnError = Callable[[Exception], None]
CHANGES = threading.RLock()  # held while widgets change: whoever holds it sees them at one moment
SECONDS_TO_REST = 0.05


class Pump:
    """Runs what was asked for, in order; `drain` does the same on the caller's thread, for tests and headless runs."""

    rests_until = 0.0  # of time.monotonic(): until then no thread of a pump changes a widget

    def __init__(self, *, on_error: OnError | None = None) -> None:
        self.on_error = on_error  # None: errors are raised where the work is done
        self._waiting: collections.deque[tuple[Any, Callable[..., Any], tuple[Any, ...]]] = collections.deque()
        self._lock, self._word = threading.Lock(), threading.Event()
        self._repeated: list[_Repeated] = []
        self._resting: dict[Any, tuple[float, Callable[..., Any], tuple[Any, ...]]] = {}
        self._thread: threading.Thread | None = None
        self._aside = ThreadPoolExecutor(max_workers=2, thread_name_prefix="workbench-aside")
        self._stopped = False

    def do(self, function: Callable[..., Any], *args: Any, key: Any = None) -> None:
        """Ask for `function(*args)`; with a key it takes the place of what waits under the same key."""
        with self._lock:
            if key is not None:
                kept = (each for each in self._waiting if each[0] != key)
                self._waiting = collections.deque(kept)
            self._waiting.append((key, function, args))
        self._word.set()

    def later(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Run slow `work` (which touches no widget) aside, then hand its value to `then` on the pump."""
        if self._thread is None:
            self.do(lambda: then(work()))
            return

        def aside() -> None:
            try:
                value = work()
            except Exception as error:  # noqa: BLE001 - told on the pump: a thread has nobody to raise to
                self.do(self._tell, error)
                return
            self.do(then, value)

        self._aside.submit(aside)

    def every(self, seconds: float, function: Callable[[], Any]) -> None:
        """Call `function` again and again while the pump runs; `drain` calls it once."""
        self._repeated.append(_Repeated(seconds, function))

    def rested(self, seconds: float, function: Callable[..., Any], *args: Any, key: Any) -> None:
        """Call `function(*args)` once so much time has passed without another word under this key; `drain` does it now."""
        with self._lock:
            self._resting[key] = (time.monotonic() + seconds, function, args)
        self._word.set()

    def start(self) -> Pump:
        """Start the thread, once."""
        if self._thread is None and not self._stopped:
            self._thread = threading.Thread(target=self._run, name="workbench-pump", daemon=True)
            self._thread.start()
        return self

    def stop(self) -> None:
        """End the thread after what it is doing; nothing more is done."""
        self._stopped = True
        self._word.set()
        self._aside.shutdown(wait=False, cancel_futures=True)

    def drain(self) -> None:
        """Do everything that waits, and each repeated call once, on this thread; raises when there is no `on_error`."""
        for repeated in self._repeated:
            self._carry_out(repeated.function, ())
        while (asked := self._next() or self._next_rested(math.inf)) is not None:
            self._carry_out(*asked)

    def _run(self) -> None:
        while not self._stopped:
            while not self._stopped and (asked := self._next()) is not None:
                self._carry_out(*asked)
            now = time.monotonic()
            if (asked := self._next_rested(now)) is not None:
                self._carry_out(*asked)
                continue
            for repeated in self._repeated:
                if not self._stopped and repeated.due <= now:
                    self._carry_out(repeated.function, ())
                    repeated.due = time.monotonic() + repeated.seconds
            dues = [each.due for each in self._repeated] + [due for due, _, _ in list(self._resting.values())]
            soonest = min(dues, default=now + 1.0)
            self._word.wait(max(0.0, soonest - time.monotonic()))
            self._word.clear()

    def _next(self) -> tuple[Callable[..., Any], tuple[Any, ...]] | None:
        with self._lock:
            return self._waiting.popleft()[1:] if self._waiting else None

    def _next_rested(self, now: float) -> tuple[Callable[..., Any], tuple[Any, ...]] | None:
        with self._lock:
            key = next((key for key, (due, _, _) in self._resting.items() if due <= now), None)
            return None if key is None else self._resting.pop(key)[1:]

    def _carry_out(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            with self._in_turn():
                function(*args)
        except Exception as error:  # the pump outlives whatever goes wrong in one handler
            if self.on_error is None and self._thread is None:
                raise
            self._tell(error)

    @contextlib.contextmanager
    def _in_turn(self) -> Iterator[None]:
        """Hold CHANGES; the pump's own thread waits while it is to rest, also where that was said while it waited."""
        while True:
            with CHANGES:
                if (
                    self._stopped
                    or self._thread is not threading.current_thread()
                    or time.monotonic() >= Pump.rests_until
                ):
                    yield
                    return
            time.sleep(SECONDS_TO_REST)

    def _tell(self, error: Exception) -> None:
        if self.on_error is None:
            raise error
        self.on_error(error)


class _Repeated:
    def __init__(self, seconds: float, function: Callable[[], Any]) -> None:
        self.seconds, self.function, self.due = seconds, function, 0.0


def words_of(error: Exception) -> str:
    """Return an error as a person reads it; a fault of our own says so."""
    if isinstance(error, WorkbenchError):
        return str(error)
    return f"a fault of the workbench: {type(error).__name__}: {error}"
