"""A log that shows when it was edited or cut: every line is signed and holds the hash of the one before.

    audit.jsonl        {"seq", "time", "event", …, "previous": sha256 of the line before, "key", "signature"}
    audit.jsonl.head   a copy of the last line: a log that ends before it was cut

Whoever can write both files can put back an older pair: keep a copy of the head elsewhere and give it to `verify`. Whoever
holds the signing key can write anything. A line survives a killed process, not a power cut.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import orjson

from workbench import _lock
from workbench.errors import ArtifactError, WorkbenchError
from workbench.protect import keys
from workbench.store import disk_errors

FIRST = "0" * 64  # what the first line holds in place of a hash
RESERVED = ("seq", "time", "event", "previous", "key", "signature")


@dataclass(frozen=True)
class Verdict:
    num_lines: int
    problems: tuple[str, ...]  # empty: nothing was changed, cut or added


def head_of(log: Path) -> Path:
    """Return where the signed head of a log lies."""
    return log.with_name(log.name + ".head")


class Audit:
    """Appends to a log; several processes may."""

    def __init__(self, log: Path, keys_folder: Path) -> None:
        keys.need_extra()
        from cryptography.hazmat.primitives import serialization

        self.log = log
        self.key_id, path = keys.signing_key(keys_folder)
        self._key: Any = serialization.load_pem_private_key(path.read_bytes(), None)

    def append(self, event: str, **fields: Any) -> int:
        """Add one line and return its number, counted from 1; raises ArtifactError when the log's end is damaged."""
        assert not set(fields) & set(RESERVED), f"fields of an audit line can't be called {RESERVED}"
        with disk_errors(self.log), self.log.open("a+b", buffering=0) as file:
            _lock.take(file, wait=True)
            seq, previous = self._end(file)
            record = {"seq": seq + 1, "time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event}
            record |= {**fields, "previous": previous, "key": self.key_id}
            line = orjson.dumps({**record, "signature": self._signature(orjson.dumps(record))}) + b"\n"
            self._write(file, line)
        return seq + 1

    def _signature(self, content: bytes) -> str:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        return base64.b64encode(self._key.sign(content, ec.ECDSA(hashes.SHA256()))).decode()

    def _end(self, file: IO[bytes]) -> tuple[int, str]:
        """Return the last line's number and hash; a log that is shorter than its head is not written on."""
        last, head = _last_line(file), _read(head_of(self.log))
        try:
            seq = orjson.loads(last)["seq"] if last.endswith(b"\n") else -bool(last)
            told = orjson.loads(head)["seq"] if head else 0
        except (orjson.JSONDecodeError, KeyError, TypeError):
            seq, told = -1, 0
        if seq < told or seq > told + 1:  # one ahead: this process was killed between writing the log and the head
            raise ArtifactError(
                f"{self.log} does not end where its head says: it was changed or cut",
                next_move=f"workbench protect audit verify {self.log}; put both files aside to begin a new log",
            )
        return seq, hashlib.sha256(last).hexdigest() if last else FIRST

    def _write(self, file: IO[bytes], line: bytes) -> None:
        """Write a line and the head, or neither: a log that runs ahead of its head looks as if it had been cut."""
        before = file.seek(0, os.SEEK_END)
        partial = head_of(self.log).with_name(f".{self.log.name}.head.partial")
        try:
            if file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.log))
            partial.write_bytes(line)
            partial.replace(head_of(self.log))
        except OSError:
            os.ftruncate(file.fileno(), before)
            raise


def verify(log: Path, keys_folder: Path, *, head: Path | None = None) -> Verdict:
    """Return how many lines there are and what is wrong with them; `head` is a copy of the head kept elsewhere."""
    keys.need_extra()
    content, own_head = _together(log)
    if content is None:
        raise WorkbenchError(f"no audit log {log}", next_move="name the file that --audit wrote")
    lines = content.splitlines(keepends=True)
    problems, previous = list[str](), FIRST
    for number, line in enumerate(lines, start=1):
        problems += [f"line {number} {problem}" for problem in _line_problems(line, number, previous, keys_folder)]
        previous = hashlib.sha256(line).hexdigest()
    problems += _head_problems(lines, head_of(log), own_head, keys_folder, is_copy=False)
    if head is not None:
        problems += _head_problems(lines, head, _read(head), keys_folder, is_copy=True)
    return Verdict(len(lines), tuple(problems))


def _line_problems(line: bytes, number: int, previous: str, keys_folder: Path) -> list[str]:
    if not line.endswith(b"\n"):
        return ["is cut short"]
    try:
        record = orjson.loads(line)
        seq, before = record["seq"], record["previous"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ["is no audit line"]
    problems = [] if seq == number else [f"says that it is line {seq}: lines were taken out or put in"]
    problems += [] if before == previous else ["does not follow the line before it, which was changed or is another"]
    return problems + _signature_problems(record, keys_folder)


def _signature_problems(record: dict[str, Any], keys_folder: Path) -> list[str]:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        _, path = keys.public_key(keys_folder, str(record.get("key", "")))
        public: Any = serialization.load_pem_public_key(path.read_bytes())
        signed = orjson.dumps({name: value for name, value in record.items() if name != "signature"})
        public.verify(
            base64.b64decode(str(record.get("signature", "")), validate=True), signed, ec.ECDSA(hashes.SHA256())
        )
    except ArtifactError as error:
        return [f"can't be trusted: {error.message}"]
    except (InvalidSignature, ValueError):
        return ["was changed: its signature does not fit"]
    return []


def _together(log: Path) -> tuple[bytes | None, bytes | None]:
    """Return a log and its head as they belong together, also while a server writes both; None = there is no such file."""
    try:
        with log.open("rb") as file:
            _lock.take(file, wait=True)
            return file.read(), _read(head_of(log))
    except FileNotFoundError:
        return None, None


def _head_problems(
    lines: list[bytes], head: Path, line: bytes | None, keys_folder: Path, *, is_copy: bool
) -> list[str]:
    """Compare a log with its head, or with a copy of an earlier one, each given by its `line`."""
    if line is None:
        return [f"there is no head {head}: nobody can tell whether the end was cut off"] if lines or is_copy else []
    try:
        record = orjson.loads(line)
        seq = int(record["seq"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return [f"{head} is no head of an audit log"]
    if problems := _signature_problems(record, keys_folder):
        return [f"{head} {problem}" for problem in problems]
    if seq > len(lines):
        return [f"the end was cut off: {len(lines)} lines are left of at least {seq}"]
    if lines[seq - 1] != line:
        return [f"line {seq} is not the one that {head} holds"]
    ahead = 0 if is_copy else len(lines) - seq - 1  # one may be ahead: killed between writing the log and the head
    return [f"{head} is {ahead + 1} lines behind: it was put back"] if ahead > 0 else []


def _last_line(file: IO[bytes]) -> bytes:
    """Return the last line of an open log, its newline included; empty when there is none."""
    end = file.seek(0, os.SEEK_END)
    block = b""
    while end and block.count(b"\n") < 2:
        begin = max(0, end - 4096)
        file.seek(begin)
        block = file.read(end - begin) + block
        end = begin
    return block.splitlines(keepends=True)[-1] if block else b""


def _read(path: Path) -> bytes | None:
    """None = there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
