"""The kernel that executes a notebook, and a connection to it that no answer gets lost on."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from queue import Empty
from typing import Any

from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.channels import AsyncZMQSocketChannel
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.localinterfaces import localhost
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.paths import jupyter_runtime_dir
from traitlets import CaselessStrEnum, Type, default

from workbench.batch._row import KERNEL
from workbench.launch._order import BATCH_MARK
from workbench.store import write_json

CRITICAL = 50  # of logging: the kernel's own log says "TCP without encryption" each time, and errors of being stopped
SECONDS_BETWEEN_LOOKS = 0.5


class LookingAgain(AsyncZMQSocketChannel):
    """Looks for a message again and again instead of waiting to be woken.

    jupyter_client sends past asyncio (`Session.send` shadows the socket), which swallows the wake-up of a poll on the same
    socket: with an Output widget in a cell, nbclient then waits for ever for an answer that has long arrived.
    """

    async def get_msg(self, timeout: float | None = None) -> dict[str, Any]:  # type: ignore[override]
        """Return the next message; raises Empty after `timeout` seconds (None = never)."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = SECONDS_BETWEEN_LOOKS if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                return await super().get_msg(min(left, SECONDS_BETWEEN_LOOKS))
            except Empty:
                if deadline is not None and time.monotonic() >= deadline:
                    raise


class PatientClient(AsyncKernelClient):
    """A client whose shell channel, the only one that is both polled and sent on, looks again."""

    shell_channel_class = Type(LookingAgain)


class ThisInterpreter(AsyncKernelManager):
    """Starts `sys.executable`; a kernel named `python3` in a person's home may be another Python altogether."""

    client_factory = Type(PatientClient)

    @property
    def kernel_spec(self) -> KernelSpec:
        """Return ipykernel's own command line for this interpreter."""
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", f"--log-level={CRITICAL}"]
        return KernelSpec(argv=command, display_name="Python 3 (ipykernel)", language="python")


class RowKernel(ThisInterpreter):
    """The kernel of a batch's row: talks through files instead of ports, and its process is noted for whoever has to end it.

    Kernels that start side by side can pick the same free port before either has bound it; names of files they can't.
    """

    extra_arguments = ("--HistoryManager.enabled=False",)
    transport = CaselessStrEnum(["tcp", "ipc"], default_value="ipc" if os.name == "posix" else "tcp", config=True)

    @default("ip")
    def _folder_of_sockets(self) -> str:
        return str(Path(jupyter_runtime_dir(), "kernel")) if self.transport == "ipc" else localhost()

    @property
    def kernel_spec(self) -> KernelSpec:
        """Return the same command line without a history: what nobody typed doesn't belong into a person's."""
        spec = super().kernel_spec
        spec.argv += self.extra_arguments
        return spec

    async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:
        await super()._async_launch_kernel(kernel_cmd, **options)
        self.note(getattr(self.provisioner, "pid", 0))

    def note(self, pid: int) -> None:
        """Write down which process the kernel is."""
        write_json(Path(os.environ[BATCH_MARK], KERNEL), {"pid": pid})
