"""Functions that are called in a process of their own, where nothing of the caller's is loaded: artifacts opened as a user would."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import orjson

from workbench import artifact, catalog
from workbench.errors import WorkbenchError
from workbench.launch import _fresh
from workbench.nouns import Artifact


def fresh_process(
    function: str, artifacts: list[Artifact], *, threads: int, options: dict[str, Any], decoding: bool = False
) -> _fresh.Fresh:
    """Start `module:function(sessions, **options)` in a new process with the artifacts opened there on demand.

    With `decoding` they are opened as decoders.
    """
    folders = [each.folder for each in artifacts]
    question = {
        "function": function, "folders": folders, "threads": threads, "options": options, "decoding": decoding
    }  # fmt: skip
    return _fresh.Fresh("fresh", question, threads=threads)


def fresh_caller(function: str, artifacts: list[Artifact], *, threads: int, options: dict[str, Any]) -> Any:
    """Start a fresh process and return its answer."""
    with fresh_process(function, artifacts, threads=threads, options=options) as process:
        return process.answer()


def answer_fresh(asked: Path, answered: Path) -> int:
    """(In the fresh process) call the function and write its value; a generator waits at its yield until told to go on."""
    import importlib

    question = orjson.loads(asked.read_bytes())
    module, _, name = question["function"].partition(":")
    opens = artifact.open_decoder if question["decoding"] else artifact.open_session
    sessions = [functools.partial(_opened, opens, Path(folder), question["threads"]) for folder in question["folders"]]

    def ask() -> Any:
        value = getattr(importlib.import_module(module), name)(sessions, **question["options"])
        return _when_told(value) if isinstance(value, Generator) else value

    return _answer(answered, ask)


def _when_told(prepared: Generator[None, None, Any]) -> Any:
    next(prepared)
    sys.stdout.write(f"{_fresh.READY}\n")
    sys.stdout.flush()
    if sys.stdin.readline().strip() != _fresh.GO:
        raise WorkbenchError("whoever asked is gone")
    try:
        next(prepared)
    except StopIteration as ended:
        return ended.value
    raise AssertionError("a prepared function yields once")


def answer_card(asked: Path, answered: Path) -> int:
    """(In the fresh process) build the model and write what it turns out to be."""
    from dataclasses import asdict

    question = orjson.loads(asked.read_bytes())

    def describe() -> Any:
        data = catalog.make("data", question["data"])
        return asdict(catalog.make("zoo", question["model"]).card(data.card()))  # type: ignore[attr-defined]

    return _answer(answered, describe)


def _opened(opens: Callable[..., Any], folder: Path, threads: int) -> Any:
    return opens(artifact.read(folder), threads)


def _answer(answered: Path, ask: Callable[[], Any]) -> int:
    try:
        answer = {"value": ask()}
    except WorkbenchError as error:
        answer = {"error": error.message, "next": error.next_move}
    answered.write_bytes(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY))
    return 0
