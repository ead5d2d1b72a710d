"""The kernel that executes a notebook: always the interpreter that asked, whatever kernels a person has installed."""

from __future__ import annotations

import sys

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

CRITICAL = 50  # of logging: the kernel's own log says "TCP without encryption" each time, and errors of being stopped


class ThisInterpreter(AsyncKernelManager):
    """Starts `sys.executable`; a kernel named `python3` in a person's home may be another Python altogether."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """Return ipykernel's own command line for this interpreter."""
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", f"--log-level={CRITICAL}"]
        return KernelSpec(argv=command, display_name="Python 3 (ipykernel)", language="python")
