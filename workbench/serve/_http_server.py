"""uvicorn, with what it lacks: a deadline for whole requests, a bound on headers and connections, and a stop that we own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from workbench.serve._desk import Limits

MAX_HEADER_BYTES = 64 << 10
IDLE_SECONDS = 60  # between requests of one connection
GRACE_SECONDS = 1.0  # the body's own deadline answers 408 before the connection is closed


class Server(uvicorn.Server):
    """Leaves signals to whoever runs both ports: uvicorn would raise SIGTERM again and lose what is under way on gRPC."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server(app: Any, limits: Limits, *, tls: dict[str, Any]) -> Server:
    class Bounded(Protocol):
        bounds = limits

    config = uvicorn.Config(
        app, http=Bounded, ws="none", lifespan="off", log_level="warning", access_log=False, server_header=False,
        timeout_keep_alive=IDLE_SECONDS, timeout_graceful_shutdown=int(limits.stop_seconds), **tls,
    )  # fmt: skip
    return Server(config)


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that is bound; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=2048)
    # asyncio does this for sockets that it made itself; without it the second answer on a connection waits 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def tls_options(cert: Path | None, key: Path | None, client_ca: Path | None) -> dict[str, Any]:
    """Return uvicorn's options; with `client_ca` only clients with a certificate of it get through."""
    if cert is None or key is None:
        return {}
    options: dict[str, Any] = {"ssl_certfile": str(cert), "ssl_keyfile": str(key)}
    if client_ca is not None:
        options |= {"ssl_ca_certs": str(client_ca), "ssl_cert_reqs": ssl.CERT_REQUIRED}
    return options


class Protocol(HttpToolsProtocol):
    """Closes a connection that doesn't get a whole request across in time, however it dawdles."""

    bounds: Limits

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None
        self._header_bytes = 0
        self._in_headers = True

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.bounds.max_connections:
            transport.abort()
            return
        # asyncio does this only for sockets made with the protocol's number; without it each answer waits 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._set_deadline()

    def data_received(self, data: bytes) -> None:
        if self._deadline is None:
            self._set_deadline()
        if self._in_headers:
            self._header_bytes += len(data)
        super().data_received(data)
        if self._in_headers and self._header_bytes > MAX_HEADER_BYTES:
            self.transport.abort()

    def on_headers_complete(self) -> None:
        self._in_headers = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_headers, self._header_bytes = True, 0
        self._drop_deadline()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._drop_deadline()
        super().connection_lost(exc)

    def _set_deadline(self) -> None:
        self._deadline = self.loop.call_later(self.bounds.receive_seconds + GRACE_SECONDS, self.transport.abort)

    def _drop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
