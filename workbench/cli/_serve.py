"""The commands that serve models: workbench serve, workbench repository add, workbench apikeys …"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli._options import HERE, Json, Store

if TYPE_CHECKING:
    from workbench.serve.api_keys import ApiKey
    from workbench.serve.server import Started

KeysFile = Annotated[Path, typer.Argument(metavar="FILE", help="File of keys; add makes it")]
KeyId = Annotated[str, typer.Argument(metavar="ID", help="As `workbench apikeys list` shows it")]
Protect = Annotated[
    Path | None, typer.Option("--protect", metavar="KEYS", help="Folder of `workbench protect keygen`: what is opened must be signed by it")
]  # fmt: skip

repository = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None,
    help="A folder of models as Triton lays it out, which `workbench serve` serves.",
)  # fmt: skip
apikeys = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The keys that clients of `workbench serve --keys FILE` show."
)


@repository.command("add")
def add_to_repository(
    what: Annotated[str, typer.Argument(metavar="RUN", help="A run, or an artifact's folder")],
    name: Annotated[str, typer.Option(help="What clients call the model")],
    version: Annotated[int | None, typer.Option(min=1, help="Default: the next one")] = None,
    to: Annotated[Path, typer.Option(metavar="DIR", help="The repository; made when it isn't there")] = Path("models"),
    protect: Annotated[Path | None, typer.Option("--protect", metavar="KEYS", help="Opens an encrypted artifact for its card")] = None,
    store: Store = HERE, json: Json = False,
) -> None:  # fmt: skip
    """Copy a run's artifact into a repository, with its signature. Triton and OpenVINO Model Server take the folder as it is.

    \b
    --json: {"schema", "model": folder, "version"}
    """
    from workbench.cli._input import artifact_folder
    from workbench.cli._text import say_json
    from workbench.serve import repository as rooms

    model, made = rooms.add(artifact_folder(what, store), to, name=name, version=version, keys=protect)
    if json:
        say_json({"model": model, "version": made})
    else:
        typer.echo(f"{name} version {made}: {model / str(made)}\n→ workbench serve {to}")


def serve(
    what: Annotated[list[str], typer.Argument(metavar="REPOSITORY|[NAME=]RUN...", help="Repositories, runs, artifact folders")],
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is every one")] = "127.0.0.1",
    http: Annotated[int, typer.Option(min=0, max=65535, help="Port of REST; 0 takes a free one")] = 8080,
    grpc: Annotated[int, typer.Option(min=0, max=65535, help="Port of gRPC; 0 takes a free one")] = 8081,
    tls_cert: Annotated[Path | None, typer.Option(metavar="PEM", help="TLS on both ports")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="PEM")] = None,
    client_ca: Annotated[Path | None, typer.Option(metavar="PEM", help="Clients must show a certificate of this CA")] = None,
    keys: Annotated[Path | None, typer.Option(metavar="FILE", help="Of `workbench apikeys`; without it one token is made, or taken from WORKBENCH_TOKEN")] = None,
    protect: Protect = None,
    unsigned: Annotated[bool, typer.Option("--unsigned", help="With --protect: decrypt, but don't ask for signatures")] = False,
    audit: Annotated[Path | None, typer.Option(metavar="LOG", help="Signed log of who did what; needs --protect")] = None,
    rate: Annotated[str, typer.Option(help="Most requests per key, as in 100/second")] = "",
    max_bytes: Annotated[int, typer.Option(min=1024, help="Of one request")] = 32 << 20,
    receive_seconds: Annotated[float, typer.Option(min=0.1, help="A request must have arrived by then")] = 20.0,
    max_connections: Annotated[int, typer.Option(min=1, help="On REST")] = 2000,
    threads: Annotated[int, typer.Option(min=1, help="Of each model")] = 1,
    streams: Annotated[int, typer.Option(min=1, max=64, help="Texts that one model generates at once")] = 4,
    store: Store = HERE,
    json: Annotated[bool, typer.Option("--json", help="One line of JSON when it answers; its fields are listed above")] = False,
) -> None:  # fmt: skip
    """Serve models over REST and gRPC (Open Inference Protocol V2) until Ctrl-C or SIGTERM.

    Every request needs a key, on this machine too. Whoever runs this process can read its keys and weights.

    \b
    --json: {"schema", "url", "grpc": "host:port", "token": "" with --keys, "models": [names], "pid"}
    """
    import asyncio

    from workbench.serve._desk import Limits
    from workbench.serve._opening import Trust
    from workbench.serve.server import Settings
    from workbench.serve.server import serve as run

    roots, runs = _sources(what, store)
    settings = Settings(
        tuple(roots), runs, host, http, grpc, tls_cert, tls_key, client_ca, keys, Trust(protect, not unsigned), audit, rate,
        threads, streams, Limits(max_bytes, receive_seconds, max_connections),
    )  # fmt: skip
    asyncio.run(run(settings, lambda started: _say_started(started, settings, json)))


@apikeys.command("add")
def add_key(
    file: KeysFile,
    name: Annotated[str, typer.Option(help="Whose it is")],
    scope: Annotated[list[str] | None, typer.Option(help="predict (the default) or admin; repeatable")] = None,
    days: Annotated[float | None, typer.Option(help="How long it lasts; default: until revoked")] = None,
    json: Json = False,
) -> None:
    """Make a key and show its token, once. The file keeps its sha256 alone.

    \b
    --json: {"schema", "id", "token"}
    """
    from workbench.serve import api_keys

    _say_token(*api_keys.add(file, name, scope or ["predict"], days=days), json)


@apikeys.command("rotate")
def rotate_key(
    file: KeysFile, key_id: KeyId,
    grace_hours: Annotated[float, typer.Option(min=0, help="How long the old one still works")] = 24.0,
    json: Json = False,
) -> None:  # fmt: skip
    """Make a key like another one, which ends after a while.

    \b
    --json: {"schema", "id", "token"}
    """
    from workbench.serve import api_keys

    _say_token(*api_keys.rotate(file, key_id, grace=timedelta(hours=grace_hours)), json)


@apikeys.command("revoke")
def revoke_key(file: KeysFile, key_id: KeyId) -> None:
    """Refuse a key from now on; a running server sees it within a second."""
    from workbench.serve import api_keys

    typer.echo(f"revoked: {api_keys.revoke(file, key_id).id}")


@apikeys.command("list")
def list_keys(file: KeysFile, json: Json = False) -> None:
    """List the keys: whose, what they may, until when. There is nothing secret in it.

    \b
    --json: {"schema", "keys": [{"id", "name", "scopes", "state", "created", "expires", "revoked"}]}
    """
    from workbench.cli._text import say_json, say_rows
    from workbench.serve import api_keys

    found = api_keys.read(file)
    if json:
        names = ("id", "name", "scopes", "state", "created", "expires", "revoked")
        say_json({"keys": [{name: getattr(key, name) for name in names} for key in found]})
    else:
        rows = [(key.id, key.name, " ".join(key.scopes), key.state, key.expires or "–") for key in found]
        say_rows(("id", "name", "scopes", "state", "expires"), rows)


def _sources(what: list[str], store: Path) -> tuple[list[Path], dict[str, Path]]:
    """Return repositories, and artifact folders by the name that they are served under."""
    from workbench.artifact import read
    from workbench.cli._input import artifact_folder
    from workbench.errors import InvalidInput
    from workbench.serve import repository as rooms

    roots, runs = list[Path](), dict[str, Path]()
    for word in what:
        name, given, run = word.rpartition("=")
        path = Path(word)
        if not given and path.is_dir() and not any((path / each).is_file() for each in ("run.json", "card.json")):
            roots.append(path)
            continue
        folder = artifact_folder(run, store)
        name = name or read(folder).card["model"]["use"]
        rooms.check_name(name)
        if name in runs:
            raise InvalidInput([f"two models are called {name!r}"], next_move="name them: NAME=RUN")
        runs[name] = folder.absolute()
    return roots, runs


def _say_started(started: Started, settings: Any, json: bool) -> None:
    import os

    import orjson

    from workbench.nouns import SCHEMA

    scheme = "https" if settings.tls_cert else "http"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url, remote = f"{scheme}://{host}:{started.http}", f"{host}:{started.grpc}"
    if json:
        record = {"schema": SCHEMA, "url": url, "grpc": remote, "token": started.token, "models": started.models}
        typer.echo(orjson.dumps({**record, "pid": os.getpid()}))
        return
    typer.echo(f"{', '.join(started.models)}: REST on {url}, gRPC on {remote}")
    if started.token and "WORKBENCH_TOKEN" not in os.environ:
        typer.echo(f"export WORKBENCH_TOKEN={started.token}")


def _say_token(key: ApiKey, token: str, json: bool) -> None:
    from workbench.cli._text import say_json

    if json:
        say_json({"id": key.id, "token": token})
    else:
        typer.echo(f"key {key.id} of {key.name}: {' '.join(key.scopes)}, until {key.expires or 'revoked'}\n{token}")
