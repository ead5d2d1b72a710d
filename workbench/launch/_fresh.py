"""Calls one of the worker's verbs in a new process and hands back its JSON answer."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import orjson

from workbench.errors import RunFailed, WorkbenchError
from workbench.launch._order import environment


def call(verb: str, question: dict[str, Any], *, threads: int = 1) -> Any:
    """Run `python -m workbench.bench VERB in out` and return what it answered; raises with its own words on failure."""
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
        asked, answered = Path(folder, "in.json"), Path(folder, "out.json")
        asked.write_bytes(orjson.dumps(question, option=orjson.OPT_SERIALIZE_NUMPY))
        command = [sys.executable, "-m", "workbench.bench", verb, str(asked), str(answered)]
        ended = subprocess.run(
            command, env=environment(threads), capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        if ended.returncode or not answered.exists():
            last = (ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"])[-1]
            raise RunFailed(f"a fresh process for {verb} failed: {last}")
        answer = orjson.loads(answered.read_bytes())
    if "error" in answer:
        raise WorkbenchError(answer["error"], next_move=answer.get("next", ""))
    return answer["value"]
