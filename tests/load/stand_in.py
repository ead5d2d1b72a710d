"""A server that answers after a known time: so many at once, with a stall where wanted. Pure asyncio, in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
METADATA = b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]}'


@dataclass
class StandIn:
    """`delay` s per answer, `workers` at once; the request number `stall_at` takes `stall` s and holds up a worker."""

    delay: float = 0.0
    workers: int = 1000
    stall_at: int = -1
    stall: float = 0.0
    refuse_every: int = 0  # each so many-th request gets 503
    port: int = 0
    count: int = 0
    bodies: list[bytes] = field(default_factory=list)
    arrived: list[float] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"GET"):
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(METADATA) + METADATA)
                    continue
                length = next(
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                )
                body = await reader.readexactly(length)
                number, self.count = self.count, self.count + 1
                self.bodies = [body]
                self.arrived.append(time.perf_counter())
                async with self.free:
                    await asyncio.sleep(self.stall if number == self.stall_at else self.delay)
                refused = self.refuse_every and number % self.refuse_every == 0
                writer.write(ANSWER.replace(b"200 OK", b"503 No") if refused and number else ANSWER)

    @contextlib.contextmanager
    def running(self) -> Iterator[StandIn]:
        loop, ready = asyncio.new_event_loop(), threading.Event()

        async def begin() -> None:
            self.free = asyncio.Semaphore(self.workers)
            server = await asyncio.start_server(self.handle, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            ready.set()

        def run() -> None:
            loop.run_until_complete(begin())
            loop.run_forever()
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            if left:
                loop.run_until_complete(asyncio.wait(left))

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        ready.wait()
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
