"""The commands that sign, encrypt and scrub saved artifacts, and check what was done: workbench protect …"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli._options import HERE, Json, Store, exit_unless
from workbench.cli._watermark import watermark
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.protect.keys import Key

KeysFolder = Annotated[Path, typer.Argument(metavar="KEYS", help="Folder of keys")]
Keys = Annotated[Path, typer.Option("--keys", envvar="WORKBENCH_KEYS", help="Folder that keygen made")]
What = Annotated[str, typer.Argument(metavar="ARTIFACT", help="An artifact's folder, or a run")]
To = Annotated[Path, typer.Argument(metavar="TO", help="A new folder")]
Signature = Annotated[Path | None, typer.Option(metavar="FILE", help="Default: ARTIFACT.sig, beside the folder")]
AuditLog = Annotated[Path | None, typer.Option("--audit", metavar="LOG", help="Also write a line into this audit log")]

protect = typer.Typer(
    no_args_is_help=True,
    help="Sign, encrypt, scrub and mark saved artifacts. Whoever runs the process that opens one can read its key and weights.",
    rich_markup_mode=None,
)
audit = typer.Typer(no_args_is_help=True, help="Check an audit log.", rich_markup_mode=None)
protect.add_typer(audit, name="audit")
protect.add_typer(watermark, name="watermark")


@protect.command()
def keygen(
    folder: KeysFolder,
    rotate: Annotated[bool, typer.Option("--rotate", help="Add newer keys: they sign and encrypt from now on")] = False,
    revoke: Annotated[str, typer.Option(metavar="ID", help="Refuse what this key ever signed or encrypted")] = "",
    json: Json = False,
) -> None:
    """Make a folder of keys, or change one: one key pair that signs, one key that encrypts. Nothing is overwritten.

    A verifier gets keys.json and public-*.pem alone. There is no copy: without encryption.json nothing is decrypted.

    \b
    --json: {"schema", "keys": [{"kind": signing|encryption, "id", "state": newest|older|revoked}]}
    """
    from workbench.errors import InvalidInput
    from workbench.protect import keys

    if rotate and revoke:
        raise InvalidInput(["--rotate and --revoke at once"], next_move="rotate, then revoke what was the newest")
    made = keys.rotate(folder) if rotate else keys.revoke(folder, revoke) if revoke else keys.create(folder)
    _say_keys(made, json)


@protect.command("keys")
def list_keys(folder: KeysFolder, json: Json = False) -> None:
    """List the keys of a folder, without their secrets.

    \b
    --json: as for `workbench protect keygen`: {"schema", "keys": [{"kind", "id", "state"}]}
    """
    from workbench.protect import keys

    _say_keys(keys.listed(folder), json)


@protect.command()
def sign(
    what: What, keys: Keys, signature: Signature = None, log: AuditLog = None, store: Store = HERE, json: Json = False
) -> None:
    """Sign every file of an artifact with the newest key. `model_signing verify key` checks it without this library.

    \b
    --json: {"schema", "artifact", "signature", "key"}
    """
    from workbench.cli._input import artifact_folder
    from workbench.protect import sign as signing

    folder = artifact_folder(what, store)
    with _audited(log, keys, "sign", folder) as told:
        told["by"], path = signing.sign(folder, keys, signature=signature)
    _say(f"signed with key {told['by']}: {path}", json, artifact=folder, signature=path, key=told["by"])


@protect.command()
def verify(
    what: What, keys: Keys, signature: Signature = None, log: AuditLog = None, store: Store = HERE, json: Json = False
) -> None:
    """Say whether an artifact is, file by file, what somebody trusted has signed. Exit code 1 when it is not.

    \b
    --json: {"schema", "artifact", "key"}
    """
    from workbench.cli._input import artifact_folder
    from workbench.protect import sign as signing

    folder = artifact_folder(what, store)
    with _audited(log, keys, "verify", folder) as told:
        told["by"] = signing.verify(folder, keys, signature=signature)
    _say(f"unchanged since it was signed with key {told['by']}: {folder}", json, artifact=folder, key=told["by"])


@protect.command()
def encrypt(what: What, to: To, keys: Keys, log: AuditLog = None, store: Store = HERE, json: Json = False) -> None:
    """Write an encrypted copy of an artifact (AES-256-GCM); the original stays. Sign the copy, not the original.

    \b
    --json: {"schema", "artifact", "key"}
    """
    from workbench.cli._input import artifact_folder
    from workbench.protect import encrypt as encrypting

    with _audited(log, keys, "encrypt", to) as told:
        told["by"] = encrypting.encrypt(artifact_folder(what, store), to, keys)
    _say(f"encrypted with key {told['by']}: {to}", json, artifact=to, key=told["by"])


@protect.command()
def decrypt(what: What, to: To, keys: Keys, log: AuditLog = None, store: Store = HERE, json: Json = False) -> None:
    """Write the plain artifact into a new folder. To use one without that, open it in memory: `protect open`.

    \b
    --json: {"schema", "artifact", "key"}
    """
    from workbench.cli._input import artifact_folder
    from workbench.protect import encrypt as encrypting

    folder = artifact_folder(what, store)
    with _audited(log, keys, "decrypt", folder) as told:
        told["by"] = encrypting.decrypt(folder, to, keys)
    _say(f"decrypted with key {told['by']}: {to}", json, artifact=to, key=told["by"])


@protect.command("open")
def open_artifact(
    what: What, keys: Keys, signature: Signature = None,
    unsigned: Annotated[bool, typer.Option("--unsigned", help="Don't ask for a signature")] = False,
    log: AuditLog = None, store: Store = HERE, json: Json = False,
) -> None:  # fmt: skip
    """Verify, decrypt in memory, open and compare with the recorded output: nothing decrypted touches the disk.

    \b
    --json: {"schema", "artifact", "key": of the signature or "", "gap": to the recorded output}
    """
    from workbench.cli._input import artifact_folder
    from workbench.protect import load

    folder = artifact_folder(what, store)
    with _audited(log, keys, "open", folder) as told:
        loaded, told["by"] = load.load(folder, keys, signature=signature, must_be_signed=not unsigned)
        gap = load.gap_to_recorded(loaded)
    signed = f"signed with key {told['by']}" if told["by"] else "no signature asked for"
    _say(f"{folder}: {signed}; gap to the recorded output {gap:.2e}", json, artifact=folder, key=told["by"], gap=gap)


@protect.command()
def scrub(
    what: What, to: To,
    word: Annotated[list[str] | None, typer.Option(help="A name that must not be left in any file; repeatable")] = None,
    store: Store = HERE, json: Json = False,
) -> None:  # fmt: skip
    """Write a copy without recipe, run, paths, comments and real examples. Exit code 1 when a searched word is left.

    Searched are your user name, this machine's, your home and working folder, and what --word says.

    \b
    --json: {"schema", "artifact", "removed": [what], "left": [file: word]}
    """
    from workbench.cli._input import artifact_folder
    from workbench.cli._text import say_json
    from workbench.protect import scrub as scrubbing

    done = scrubbing.scrub(artifact_folder(what, store), to, words=tuple(word or ()))
    if json:
        say_json({"artifact": to, "removed": done.removed, "left": done.left})
    else:
        for line in done.removed:
            typer.echo(f"removed  {line}")
        for line in done.left:
            typer.echo(f"LEFT     {line}")
        typer.echo(f"scrubbed, opened, same output: {to}")
    exit_unless(not done.left)


@audit.command("verify")
def verify_log(
    log: Annotated[Path, typer.Argument(metavar="LOG", help="What --audit wrote; its head lies beside it")],
    keys: Keys,
    head: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A copy of LOG.head that was kept elsewhere")
    ] = None,
    json: Json = False,
) -> None:
    """Say whether lines of an audit log were edited, taken out, put in or cut off its end. Exit code 1 when so.

    \b
    --json: {"schema", "num_lines", "problems": [sentences]}
    """
    from workbench.cli._text import say_json
    from workbench.protect import audit as auditing

    found = auditing.verify(log, keys, head=head)
    if json:
        say_json({"num_lines": found.num_lines, "problems": found.problems})
    else:
        for problem in found.problems:
            typer.echo(f"{log}: {problem}")
        typer.echo(f"{found.num_lines} lines, {len(found.problems) or 'no'} problems")
    exit_unless(not found.problems)


@contextlib.contextmanager
def _audited(log: Path | None, keys: Path, event: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Write how it ended into the audit log, a refusal too; yields fields to fill."""
    from workbench.protect.audit import Audit

    writer = Audit(log, keys) if log else None
    told: dict[str, Any] = {"artifact": str(folder), "by": ""}
    try:
        yield told
    except WorkbenchError as error:
        if writer:
            writer.append(event, **told, refused=error.message)
        raise
    if writer:
        writer.append(event, **told)


def _say_keys(found: list[Key], json: bool) -> None:
    from dataclasses import asdict

    from workbench.cli._text import say_json, say_rows

    if json:
        say_json({"keys": [asdict(key) for key in found]})
    else:
        say_rows(("kind", "id", "state"), [(key.kind, key.id, key.state) for key in found])


def _say(text: str, json: bool, **record: Any) -> None:
    from workbench.cli._text import say_json

    if json:
        say_json(record)
    else:
        typer.echo(text)
