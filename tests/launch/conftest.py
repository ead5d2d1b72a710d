"""A warmed parent of one's own, and workers small enough to see through."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench.launch import _nursery_place, _order

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a warmed parent is forked on Linux only")

# A module whose `main` does what the draft's todo.py says, and leaves a mark.
WORKER = """
import pathlib, sys

def main(arguments):
    draft = pathlib.Path(arguments[1])
    (draft / "began").write_text("")
    return eval((draft / "todo.py").read_text())

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""
# A parent that loads nothing, so that it is there at once.
COLD = "from workbench.launch import _newborn, _nursery_loop, _warm; _warm.load_all = lambda breathe: None; "
COLD += "_newborn._prove_alive = lambda threads: None\n"


@pytest.fixture(scope="package", autouse=True)
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep these tests away from the parents and the measuring of other processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_NURSERY", str(tmp_path_factory.mktemp("nursery") / "warm"))
        patch.setenv("WORKBENCH_LOCKS", str(tmp_path_factory.mktemp("locks")))
        yield
        dismiss()


@pytest.fixture
def cold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Return a function that makes the next parent a cold one, changed by some lines of Python."""
    monkeypatch.setenv("WORKBENCH_NURSERY", str(tmp_path / "cold"))

    def make(changes: str = "") -> None:
        boot = _nursery_place.BOOT.replace("main(sys", f"{COLD}{changes}\nmain(sys")
        monkeypatch.setattr(_nursery_place, "BOOT", boot)

    yield make
    dismiss()


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., _order.Order]:
    """Return a function that orders a worker which evaluates one expression."""
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "tiny_worker.py").write_text(WORKER)
    monkeypatch.syspath_prepend(modules)

    def make(todo: str = "0", *, name: str = "one", threads: int = 1) -> _order.Order:
        draft = tmp_path / f".draft-{name}"
        draft.mkdir()
        (draft / "todo.py").write_text(todo)
        described = _order.order(draft, tmp_path, threads).to_json()
        return _order.Order(**{**described, "module": "tiny_worker"})

    return make


def ask(**message: Any) -> dict[str, Any] | None:
    """Send one message to the parent; return its answer, None when there is no parent or it hangs up."""
    link = _nursery_place.connect()
    if link is None:
        return None
    with link:
        link.settimeout(60)
        link.sendall(json.dumps(message).encode() + b"\n")
        answer = link.recv(1 << 20)
    return json.loads(answer) if answer else None


def dismiss() -> None:
    """Send the parent away and wait until it has gone."""
    told = ask(do="tell")
    if told:
        ask(do="leave")
        until(lambda: not Path("/proc", str(told["pid"])).exists() or is_zombie(told["pid"]))


def kill_parent() -> int:
    """Kill the parent as the kernel would; return what was its process id."""
    told = ask(do="tell")
    assert told
    os.kill(told["pid"], signal.SIGKILL)
    until(lambda: is_zombie(told["pid"]))
    return int(told["pid"])


def is_zombie(pid: int) -> bool:
    status = Path("/proc", str(pid), "stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"


def until(happens: Callable[[], Any], seconds: float = 120.0) -> Any:
    """Wait for something that must happen; fails when it doesn't."""
    deadline = time.monotonic() + seconds
    while not (found := happens()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return found


def record(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / name).read_text())
