"""Put on PYTHONPATH by the tests of the workshop's notebooks: refuses, and writes down, every connection that leaves this machine."""

import os
import socket

_connect = socket.socket.connect


def connect(self: socket.socket, address: object) -> None:
    """Connect within this machine only."""
    if self.family != getattr(socket, "AF_UNIX", None) and not str(address[0]).startswith(("127.", "::1", "localhost")):
        with open(os.environ["WORKBENCH_TEST_CALLS"], "a") as file:
            file.write(f"{address}\n")
        raise OSError(f"blocked by a test: {address}")
    _connect(self, address)


socket.socket.connect = connect  # type: ignore[method-assign]
