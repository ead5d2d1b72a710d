"""A kernel that is forked from a process which has everything imported, instead of a new interpreter.

Same interpreter, same code as `python -m ipykernel_launcher`, one process per notebook; it costs a tenth of the CPU time. Nothing
that a notebook could want to configure before it is loaded (numpy, torch) is ever loaded here, and no thread or ZeroMQ context
exists when it is forked.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import orjson

from workbench.batch._kernel import CRITICAL, RowKernel

PRELOADED = (
    "papermill.execute", "nbclient.client", "jupyter_client.asynchronous", "jupyter_client.provisioning.local_provisioner",
    "ipykernel.kernelapp", "ipykernel.ipkernel", "ipykernel.zmqshell", "ipykernel.debugger", "IPython.core.completer",
    "IPython.core.magics", "IPython.core.ultratb", "IPython.lib.display", "comm", "jedi",
    "papermill.translators", "workbench.batch.execute", "workbench.batch._client", "sqlite3", "asyncio", "psutil",
)  # fmt: skip
NEVER = ("numpy", "torch")  # read the number of threads when they are loaded, or start threads
ENVELOPE = 1 << 20


def load_all() -> None:
    """Import what a row and its kernel need, where it is installed; touches no socket and starts no thread."""
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # the debugger warns about itself when it is imported
    for name in PRELOADED:
        if importlib.util.find_spec(name.partition(".")[0]) and name.partition(".")[0] not in NEVER:
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # the collector would otherwise touch, and so copy, every page that rows share


def why_not() -> str:
    """Return why kernels are new interpreters; empty when they can be forked."""
    loaded = [name for name in NEVER if name in sys.modules]
    return f"{loaded[0]} is loaded in this process" if loaded else ""


class Waiting:
    """A forked process that becomes a kernel when it is told its connection; what a provisioner takes for a Popen."""

    stdin = stdout = stderr = None

    def __init__(self, others: Sequence[Waiting] = ()) -> None:
        self._link, theirs = socket.socketpair()
        self.returncode: int | None = None
        self.pid = os.fork()
        if not self.pid:
            for each in (self, *others):  # the end of a connection is seen when nobody holds it any more
                each._link.close()
            _be_kernel(theirs)
        theirs.close()

    @classmethod
    def several(cls, count: int) -> list[Waiting]:
        """Fork so many, each of which becomes a kernel of its own."""
        made: list[Waiting] = []
        for _ in range(count):
            made.append(cls(made))
        return made

    def tell(self, arguments: list[str], *, environment: dict[str, str], folder: str) -> None:
        """Let it begin."""
        self._link.sendall(orjson.dumps({"arguments": arguments, "environment": environment, "folder": folder}))
        self._link.close()

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        until = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if until is not None and time.monotonic() > until:
                raise subprocess.TimeoutExpired("kernel", timeout or 0.0)
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class WarmKernel(RowKernel):
    """Gives the connection to a process that was forked before this one had any socket."""

    waiting: ClassVar[list[Waiting]] = []  # one for each notebook; without one a start is a new interpreter

    async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:
        if not self.waiting:
            await super()._async_launch_kernel(kernel_cmd, **options)
            return
        kernel = self.waiting.pop(0)
        provisioner: Any = self.provisioner
        kernel.tell(
            ["-f", self.connection_file, f"--log-level={CRITICAL}", f"--IPKernelApp.parent_handle={os.getpid()}", *self.extra_arguments],
            environment=options.get("env") or dict(os.environ), folder=str(options.get("cwd") or os.getcwd()),
        )  # fmt: skip
        provisioner.process, provisioner.pid, provisioner.pgid = kernel, kernel.pid, kernel.pid
        provisioner.cwd = options.get("cwd")
        self._reconcile_connection_info(provisioner.connection_info)
        self.note(kernel.pid)


def _be_kernel(link: socket.socket) -> None:
    """Become a kernel when told to; never returns."""
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    received = b""
    while piece := link.recv(ENVELOPE):
        received += piece
    if not received:
        os._exit(0)  # the row ended before it needed a kernel
    link.close()
    told = orjson.loads(received)
    _forget_the_runner()
    os.environ.clear()
    os.environ.update(told["environment"])
    os.chdir(told["folder"])
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    from ipykernel.kernelapp import IPKernelApp

    sys.argv = ["ipykernel_launcher.py", *told["arguments"]]
    try:
        IPKernelApp.launch_instance(argv=told["arguments"])
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(0)


def _forget_the_runner() -> None:
    """Take back what a new interpreter wouldn't have: our modules (their files may be edited meanwhile), our place in sys.path."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "workbench"]:
        del sys.modules[name]
    first = sys.path[0] if sys.path else ""
    if first in ("", os.getcwd(), str(Path(sys.argv[0]).resolve().parent), os.path.dirname(sys.argv[0])):
        del sys.path[0]
    tempfile.tempdir = None  # found anew in the kernel's environment
    importlib.invalidate_caches()
    gc.unfreeze()
