"""The first moments of a forked worker: from a copy of the warmed parent to a process of its submitter's making."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from workbench.launch import _order


def fork(order: _order.Order, private: list[Any]) -> tuple[BaseProcess, socket.socket]:
    """Fork a worker; returns it and the link on which it says that it is alive, and waits to be told to begin.

    `private` is what of the parent's the child closes.
    """
    ours, theirs = socket.socketpair()
    process = multiprocessing.get_context("fork").Process(target=_begin, args=(order, theirs, [*private, ours]))
    process.start()
    theirs.close()
    return process, ours


def _begin(order: _order.Order, link: socket.socket, private: list[Any]) -> None:
    """Become the worker: close what is the parent's, take on what is the submitter's, begin when told to."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    for each in private:
        each.close()
    os.setsid()
    _write_to(Path(order.draft, "log.txt"))
    os.chdir(order.folder)
    os.environ.clear()
    os.environ.update(order.environment)
    sys.path[:] = order.path
    sys.argv = [order.module, *order.arguments]
    tempfile.tempdir = None  # found anew in this environment
    importlib.invalidate_caches()
    _prove_alive(order.threads)
    link.send(b"a")
    if not link.recv(1):
        os._exit(1)  # the parent died before it told anybody of us
    link.close()
    sys.exit(importlib.import_module(order.module).main(order.arguments))


def _write_to(log: Path) -> None:
    """Send what this process prints, in any language, to a file at once."""
    with log.open("ab") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
            stream.reconfigure(line_buffering=True, write_through=True)  # type: ignore[union-attr]


def _prove_alive(threads: int) -> None:
    """Compute with the ordered threads: a child of a parent that once had more of them hangs for ever here."""
    import torch

    torch.set_num_threads(threads)  # a fork inherits one, silently
    torch.ones(64, 64) @ torch.ones(64, 64)
