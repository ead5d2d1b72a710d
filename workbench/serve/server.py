"""Both ports in one event loop, from loading the models to a stop that loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from workbench.errors import InvalidInput
from workbench.serve import _config, api_keys
from workbench.serve._desk import Desk, Limits
from workbench.serve._opening import Trust
from workbench.serve._policy import Policy

# Calls that gRPC has received but not yet handed to us would be cancelled: they are let in before the doors close.
QUIET_SECONDS = 0.5
TOKEN = "WORKBENCH_TOKEN"  # variable with the token to take when there is no file of keys


@dataclass(frozen=True)
class Settings:
    roots: tuple[Path, ...] = ()  # repositories
    runs: Mapping[str, Path] = field(default_factory=dict)  # name → artifact folder
    host: str = "127.0.0.1"
    http: int = 8080  # 0 = any free port
    grpc: int = 8081
    tls_cert: Path | None = None  # PEM; None = plain text
    tls_key: Path | None = None
    client_ca: Path | None = None  # None = clients show no certificate
    keys: Path | None = None  # file of API keys; None = one token, made at the start or taken from WORKBENCH_TOKEN
    trust: Trust = Trust()
    audit: Path | None = None
    rate: str = ""  # per key, as in 100/second
    threads: int = 1  # of each model
    streams: int = 4  # texts that one model generates at once
    limits: Limits = Limits()


@dataclass(frozen=True)
class Started:
    """What somebody who started the server needs to know."""

    http: int
    grpc: int
    token: str  # "" = keys come from a file
    models: tuple[str, ...]


async def serve(settings: Settings, on_ready: Callable[[Started], None]) -> None:
    """Serve until SIGTERM or SIGINT; raises WorkbenchError when it can't start."""
    _config.need_extra()
    _check(settings)
    from workbench.serve import _grpc, _http_server, _rest
    from workbench.serve._metrics import Metrics
    from workbench.serve._trail import Trail
    from workbench.serve.models import Models

    token, policy = _policy(settings)
    trail = None
    if settings.audit is not None:
        assert settings.trust.keys is not None
        trail = Trail(settings.audit, settings.trust.keys)
    models = Models(
        settings.roots, settings.runs, trust=settings.trust, threads=settings.threads, streams=settings.streams
    )
    desk = Desk(models, policy, Metrics(), settings.limits, trail)
    stop = _stop_on_signals()
    await models.load_all()
    files = (settings.tls_cert, settings.tls_key, settings.client_ca)
    try:
        listening = _http_server.listening(settings.host, settings.http)
    except OSError as error:
        raise InvalidInput(
            [f"REST can't listen on {settings.host}:{settings.http}: {error.strerror}"],
            next_move="choose another --http",
        ) from None
    remote = _grpc.Server(desk, settings.host, settings.grpc, _grpc.credentials(*files))
    http = _http_server.server(_rest.app(desk), settings.limits, tls=_http_server.tls_options(*files))
    serving = asyncio.create_task(http.serve(sockets=[listening]))
    await remote.start()
    while not http.started:
        if serving.done():
            await remote.stop(0)
            serving.result()  # raises what ended it; without an error it was told to stop
            return
        await asyncio.sleep(0.005)
    flushing = asyncio.create_task(trail.keep_flushing()) if trail else None
    if trail:
        await trail.write("start", models={each.name: each.version for each in models.all()})
    on_ready(Started(listening.getsockname()[1], remote.port, token, tuple(each.name for each in models.all())))
    await stop.wait()
    models.is_ready = False
    await remote.say_stopping()
    await _last_calls(desk)
    http.should_exit = True
    await asyncio.gather(remote.stop(settings.limits.stop_seconds), serving)
    if trail and flushing:
        flushing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await flushing
        await trail.write("stop")


async def _last_calls(desk: Desk) -> None:
    """Return when nobody has come in for a while, at the latest after half of the time that stopping may take."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(desk.limits.stop_seconds / 2):
            num_before = -1
            while num_before != desk.metrics.num_begun:
                num_before = desk.metrics.num_begun
                await asyncio.sleep(QUIET_SECONDS)


def _check(settings: Settings) -> None:
    problems = []
    if (settings.tls_cert is None) != (settings.tls_key is None):
        problems.append("--tls-cert and --tls-key go together")
    if settings.client_ca is not None and settings.tls_cert is None:
        problems.append("--client-ca needs --tls-cert and --tls-key")
    if settings.audit is not None and settings.trust.keys is None:
        problems.append("--audit needs --protect: its lines are signed")
    for path in (settings.tls_cert, settings.tls_key, settings.client_ca):
        if path is not None and not path.is_file():
            problems.append(f"no file {path}")
    if problems := problems or _tls_problems(settings):
        raise InvalidInput(problems)


def _tls_problems(settings: Settings) -> list[str]:
    """Say what is wrong with certificate, key or authority, before either port would fail on it in its own way."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    problems = []
    if settings.tls_cert is not None:
        try:
            context.load_cert_chain(settings.tls_cert, settings.tls_key, password="")  # or it would ask the terminal
        except (ssl.SSLError, OSError) as error:
            problems.append(
                f"{settings.tls_cert} and {settings.tls_key} are no certificate and its key without a password, as PEM "
                f"({_reason(error)})"
            )
    if settings.client_ca is not None:
        try:
            context.load_verify_locations(settings.client_ca)
        except (ssl.SSLError, OSError) as error:
            problems.append(f"{settings.client_ca} is no certificate as PEM ({_reason(error)})")
    return problems


def _reason(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error.strerror or type(error).__name__)


def _policy(settings: Settings) -> tuple[str, Policy]:
    """Return the token to tell, and who is admitted."""
    if settings.keys is not None:
        return "", Policy(file=settings.keys, rate=settings.rate)
    if token := os.environ.get(TOKEN, ""):
        key = api_keys.of_token(token)
    else:
        key, token = api_keys.new("made at the start", api_keys.SCOPES)
    return token, Policy(keys=[key], rate=settings.rate)


def _stop_on_signals() -> asyncio.Event:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def told(*_: object) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
    return stop
