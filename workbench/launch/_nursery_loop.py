"""The loop of the warmed parent: connections, children and signals, without threads, or forking would not be safe."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import orjson

from workbench.launch import _newborn, _nursery_place, _order, _warm, _worker

LOG = logging.getLogger(__name__)

IDLE_SECONDS = 300.0  # WORKBENCH_NURSERY_IDLE_SECONDS
SILENT_SECONDS = 20.0  # a forked child that hangs does so in its first product
SECONDS_BETWEEN_LOOKS = 5.0


@dataclass(eq=False)
class Caller:
    """One connection: an order and whoever waits for it."""

    link: socket.socket
    unread: bytes = b""
    child: Child | None = None

    def tell(self, **message: Any) -> None:
        """Send one line; a caller that went away misses nothing, since the files say the same."""
        with contextlib.suppress(OSError):
            self.link.send(orjson.dumps(message) + b"\n")


@dataclass(eq=False)
class Child:
    """One started worker."""

    order: _order.Order
    caller: Caller
    pid: int
    poll: Callable[[], int | None]  # exit code as subprocess counts it; None while it runs
    link: socket.socket | None = None  # until it says that it is alive
    works: bool = False
    why_not: str = ""  # why it was given up before it worked
    began: float = field(default_factory=time.monotonic)

    def send(self, number: int) -> None:
        _worker.signal_group(self.pid, number)
        if not self.works:  # may not lead its group yet
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Nursery:
    """Serves orders from `listener` until it is time to leave; `private` is what children must not keep open."""

    def __init__(self, listener: socket.socket, *, private: list[Any]) -> None:
        self.listener, self.selector = listener, selectors.DefaultSelector()
        self.woken, self._wake = socket.socketpair()
        self.private = [*private, listener, self.selector, self.woken, self._wake]  # not for children
        self.callers: set[Caller] = set()
        self.children: list[Child] = []
        self.stamp = _nursery_place.stamp()
        self.idle_seconds = float(os.environ.get("WORKBENCH_NURSERY_IDLE_SECONDS", IDLE_SECONDS))
        self.leaving = False
        self.last = time.monotonic()
        self._heed_signals()

    def _heed_signals(self) -> None:
        for end in (self.listener, self.woken, self._wake):
            end.setblocking(False)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "leaving", True))

    def serve(self) -> None:
        """Answer until it is time to leave."""
        gc.collect()
        gc.freeze()  # the collector would otherwise touch, and so copy, every inherited page
        LOG.info("warm after %.1f CPU seconds, %d thread(s)", time.process_time(), _warm.num_threads())
        self.last = time.monotonic()
        self.selector.register(self.listener, selectors.EVENT_READ, self._accept)
        self.selector.register(self.woken, selectors.EVENT_READ, lambda: self.woken.recv(4096))
        while not self._may_leave():
            waiting = any(child.link for child in self.children)
            for ready, _ in self.selector.select(0.5 if waiting else min(SECONDS_BETWEEN_LOOKS, self.idle_seconds)):
                ready.data()
            self._reap()

    def _may_leave(self) -> bool:
        if self.leaving:
            return True
        if self.children or any(caller.unread for caller in self.callers):
            return False
        return time.monotonic() - self.last > self.idle_seconds or self._is_overtaken()

    def _is_overtaken(self) -> bool:
        """Say whether nobody can want this parent any more: the library was edited, or the socket is gone."""
        try:
            return self.stamp != _nursery_place.stamp() or not os.path.exists(self.listener.getsockname())
        except FileNotFoundError:
            return True

    # ── connections ──

    def _accept(self) -> None:
        link, _ = self.listener.accept()
        if _nursery_place.peer_user(link) != os.getuid():
            link.close()
            return
        link.setblocking(False)
        caller = Caller(link)
        self.callers.add(caller)
        self.selector.register(link, selectors.EVENT_READ, partial(self._read, caller))

    def _read(self, caller: Caller) -> None:
        try:
            received = caller.link.recv(1 << 20)
        except ConnectionResetError:
            received = b""
        if not received:  # the client went away; its worker goes on
            self.selector.unregister(caller.link)
            caller.link.close()
            self.callers.remove(caller)
            return
        *lines, caller.unread = (caller.unread + received).split(b"\n")
        for line in lines:
            self._answer(caller, orjson.loads(line))

    def _answer(self, caller: Caller, message: dict[str, Any]) -> None:
        self.last = time.monotonic()
        if message["do"] == "start":
            try:
                self._start(caller, _order.Order(**message["order"]))
            except OSError as error:  # no memory or no process left
                caller.tell(refused=f"the warmed parent can't fork: {error}")
        elif message["do"] == "cancel" and caller.child:
            caller.child.why_not = "cancelled"
            caller.child.send(signal.SIGTERM if caller.child.works else signal.SIGKILL)
        elif message["do"] == "tell":
            ours = sorted(name for name in sys.modules if name.startswith("workbench."))
            pids = [child.pid for child in self.children]
            caller.tell(pid=os.getpid(), threads=_warm.num_threads(), modules=ours, children=pids)
        elif message["do"] == "leave":
            self.leaving = True

    # ── children ──

    def _start(self, caller: Caller, order: _order.Order) -> None:
        if _warm.num_threads() != 1:
            caller.tell(refused=f"the warmed parent has {_warm.num_threads()} threads and can't fork safely")
            return
        links = [caller.link for caller in self.callers] + [child.link for child in self.children if child.link]
        process, link = _newborn.fork(order, [*self.private, *links])
        caller.child = Child(order, caller, process.pid or 0, lambda: process.exitcode, link)
        self.children.append(caller.child)
        self.selector.register(link, selectors.EVENT_READ, partial(self._hear, caller.child))

    def _hear(self, child: Child) -> None:
        """Let a child that is alive begin; one that closed its link without a word is given up."""
        with self._take_link(child) as link:
            if not link.recv(1) or child.why_not:
                child.send(signal.SIGKILL)
                return
            try:
                self._tell_start(child, "fork", f"by the warmed parent, process {os.getpid()}")
                link.send(b"g")
            except OSError as error:  # the draft is gone, the disk is full, or the child was killed
                child.why_not = str(error)
                child.send(signal.SIGKILL)

    def _take_link(self, child: Child) -> socket.socket:
        link, child.link = child.link, None
        assert link
        self.selector.unregister(link)
        return link

    def _tell_start(self, child: Child, start: Literal["fork", "spawn"], why: str) -> None:
        """Record the start and tell the pid: from here on a client counts on the child."""
        _order.note_start(child.order, start, why)
        child.works = True
        LOG.info("%s: %s, process %d, %s", child.order.draft, start, child.pid, why)
        child.caller.tell(pid=child.pid, born=_worker.born(child.pid))

    def _reap(self) -> None:
        for child in list(self.children):
            code = child.poll()
            if code is not None:
                self._ended(child, code)
            elif child.link and time.monotonic() - child.began > SILENT_SECONDS and not child.why_not:
                child.why_not = f"the forked worker said nothing for {SILENT_SECONDS:g} s"
                child.send(signal.SIGKILL)

    def _ended(self, child: Child, code: int) -> None:
        """Record an end; a forked child that never worked is replaced by a new interpreter."""
        self.children.remove(child)
        self.last = time.monotonic()
        if child.link:
            self._take_link(child).close()
        if not child.works and child.why_not != "cancelled":
            self._instead(child, child.why_not or f"the forked worker ended with exit code {code} before it began")
            return
        if code < 0:
            _worker.signal_group(child.pid, signal.SIGKILL)  # measuring processes of a killed worker
        _order.note_death(Path(child.order.draft), code)
        LOG.info("%s: process %d ended with %d", child.order.draft, child.pid, code)
        child.caller.tell(ended=code)

    def _instead(self, child: Child, why: str) -> None:
        try:
            process = _order.spawn(child.order)
            child.caller.child = Child(child.order, child.caller, process.pid, process.poll)
            self.children.append(child.caller.child)
            self._tell_start(child.caller.child, "spawn", why)
        except OSError as error:
            child.caller.tell(refused=f"{why}; a new interpreter: {error}")
