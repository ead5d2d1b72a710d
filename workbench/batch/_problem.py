"""What kind of error ended a notebook, and which errors are the same one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.batch._record import Problem

# The first that fits the name of the exception, or its message, is it.
BY_NAME = (
    ("assertion", r"AssertionError"),
    ("dependency", r"ImportError|ModuleNotFoundError|MissingExtra"),
    ("parameters", r"InvalidInput"),
    ("memory", r"MemoryError|OutOfMemoryError"),
    ("network", r"Connect|URLError|HTTPError|gaierror|SSLError|ProxyError|RemoteDisconnected|MaxRetryError|NewConnectionError"),
    ("timeout", r"Timeout"),
    ("data", r"FileNotFoundError|UnicodeDecodeError|JSONDecodeError|ParserError|EmptyDataError|ArtifactError|BadZipFile"),
)  # fmt: skip
BY_MESSAGE = (
    ("disk", r"No space left|Read-only file system|Disk quota exceeded|the disk of .* is (full|read-only)"),
    ("memory", r"out of memory|can't allocate memory|Unable to allocate"),
    ("network", r"Temporary failure in name resolution|Name or service not known|Connection (refused|reset)"),
)
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
PATH = re.compile(r"(?:[A-Za-z]:)?(?:[\w.~+-]*[/\\])+[\w.+-]*")
HEX = re.compile(r"\b0x[0-9a-fA-F]+\b|\b(?=[0-9a-f]*\d)[0-9a-f]{7,}\b")
DIGITS = re.compile(r"\d+")
TAIL_LINES = 25


def category(name: str, message: str) -> str:
    """Return which of CATEGORIES an exception belongs to."""
    for table, text in ((BY_MESSAGE, message), (BY_NAME, name)):
        for found, pattern in table:
            if re.search(pattern, text, re.IGNORECASE if table is BY_MESSAGE else 0):
                return found
    return "other"


def signature(name: str, message: str) -> str:
    """Return a hash that errors share which differ in paths, numbers and addresses only."""
    return hashlib.sha256(f"{name}: {masked(message)}".encode()).hexdigest()[:10]


def masked(message: str) -> str:
    """Return a message without what differs from one execution to the next."""
    return DIGITS.sub("#", HEX.sub("#", PATH.sub("PATH", ANSI.sub("", message)))).strip()


def problem(
    kind: str,
    message: str,
    *,
    name: str = "",
    cell: int = 0,
    excerpt: str = "",
    notebook: str = "",
    traceback: Sequence[str] = (),
) -> Problem:
    """Describe what ended a row; `kind` is a category, or empty to find it by the name and the message."""
    told = ANSI.sub("", "\n".join(traceback)).splitlines()
    return Problem(
        category=kind or category(name, message),
        name=name,
        signature=signature(name or kind, message),
        cell=cell,
        notebook=notebook,
        cell_excerpt=excerpt,
        message=ANSI.sub("", message),
        traceback_tail="\n".join(told[-TAIL_LINES:]),
    )


def groups(problems: Mapping[str, Problem]) -> list[dict[str, Any]]:
    """Return errors that are the same one together, the most frequent first: signature, rows, and the first as an example."""
    found: dict[str, list[str]] = {}
    for row_id, each in problems.items():
        found.setdefault(each.signature, []).append(row_id)
    ordered = sorted(found.items(), key=lambda item: -len(item[1]))
    return [{"signature": key, "rows": rows, "example": problems[rows[0]]} for key, rows in ordered]
