"""The warmed parent: has imported the heavy libraries once, and forks one worker for each order.

Its socket is for control only; progress stays in files. One connection carries one order and what becomes of it:

    client  {"do": "start", "order": {…}}        parent  {"pid": …, "born": …} when the worker works, {"ended": code}
            {"do": "cancel"}                             {"refused": "why"} when nothing was and will be started
            {"do": "tell"}                               {"pid": …, "threads": …, "modules": […], "children": […]}
            {"do": "leave"}                              the end of the connection

A worker begins only after its pid was told, and ends itself when the parent died before that: a client that reads the end
of the connection without a pid knows that nothing runs.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
from typing import TextIO

from workbench.launch import _nursery_place, _order, _warm
from workbench.launch._nursery_loop import Nursery
from workbench.machine import Quiet


def main(key: str) -> None:
    """Serve until idle, asked to leave, or overtaken by an edited library; ends the process."""
    _log_to_stderr()
    if key != _nursery_place.key():
        sys.exit("the library or the environment changed while this parent was started")
    os.environ.update({**dict.fromkeys(_order.THREAD_VARIABLES, "1"), **_order.NO_TELEMETRY})
    with _nursery_place.opened_folder() as folder, open(_nursery_place.inside(folder, f"{key}.lock"), "w") as lock:
        path = _nursery_place.inside(folder, f"{key}.sock")
        if listener := _listen(lock, path):
            nursery = Nursery(listener, private=[lock])
            with Quiet() as quiet:  # warming is work: it must not disturb what is measured
                _warm.load_all(breathe=quiet.breathe)
            nursery.serve()
            _remove(path)
            _remove(_nursery_place.inside(folder, f"{key}.log"))  # kept only by a parent that died
    os._exit(0)  # without waiting for the workers: they have lives of their own


def _log_to_stderr() -> None:
    """Configure our own logger only: workers inherit what is configured here."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(message)s"))
    ours = logging.getLogger("workbench.launch")
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    ours.propagate = False


def _listen(lock: TextIO, path: str) -> socket.socket | None:
    """Return the listening socket; None when another parent of this key lives, which keeps the lock until it ends."""
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    _remove(path)  # of a parent that was killed
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(64)
    return listener


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
