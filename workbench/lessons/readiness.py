"""Whether this machine is ready for the workshop: `workbench doctor`'s findings, and what lessons need besides."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
from importlib import metadata, resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from workbench.doctor import Finding, examine
from workbench.errors import WorkbenchError
from workbench.lessons import build, catalog
from workbench.lessons.checker import Checker

DIGITS_SHA256 = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"  # scikit-learn's digits.csv.gz
GLOO = "import sys, torch.distributed as d; sys.exit(0 if d.is_available() and d.is_gloo_available() else 1)"


def look(store: Path) -> list[Finding]:
    """Return every finding; takes some seconds, since one check is really carried out."""
    return [*examine(store), _lab(), _serving(), _digits(), _port(), _processes(), _notebooks(), _check()]


def expected_minutes() -> int:
    """Return what all lessons take in a class, discussion included."""
    return sum(each.minutes for each in catalog.lessons())


def to_json(findings: list[Finding]) -> dict[str, Any]:
    """Return `{"ok", "findings": [{name, status, found, fix}], "minutes"}`: what an instructor collects beforehand."""
    return {
        "ok": all(each.status != "FAIL" for each in findings),
        "findings": [each.to_json() for each in findings],
        "minutes": expected_minutes(),
    }


def _lab() -> Finding:
    """JupyterLab, its widgets and the kernel, as they are installed beside each other."""
    names = ("jupyterlab", "ipywidgets", "jupyterlab_widgets", "anywidget", "ipykernel")
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        return Finding("notebooks and widgets", "FAIL", f"missing: {', '.join(missing)}", "install the workbench again")
    return Finding("notebooks and widgets", "PASS", ", ".join(f"{name} {metadata.version(name)}" for name in names[:4]))


def _serving() -> Finding:
    """What lessons 09 and 10 take besides: the server and its clients, keys and signatures."""
    missing = [name for name in ("fastapi", "uvicorn", "grpc", "tritonclient", "aiohttp", "model_signing", "cryptography") if find_spec(name) is None]  # fmt: skip
    if missing:
        return Finding(
            "server, signatures", "WARN", f"missing: {', '.join(missing)}", "pip install 'workbench[workshop]'"
        )
    return Finding("server, signatures", "PASS", "for lessons 09 and 10")


def _digits() -> Finding:
    content = (resources.files("sklearn.datasets") / "data" / "digits.csv.gz").read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != DIGITS_SHA256:
        fix = "figures may differ a little; constraints.txt has the tested scikit-learn"
        return Finding("data (offline)", "WARN", f"digits {found[:12]}, not {DIGITS_SHA256[:12]}", fix)
    return Finding("data (offline)", "PASS", f"1,797 digits, sha256 {found[:12]}")


def _port() -> Finding:
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            return Finding("a port of this machine", "PASS", f"127.0.0.1:{server.getsockname()[1]} could be opened")
    except OSError as error:
        return Finding("a port of this machine", "FAIL", str(error), "allow programs to listen on 127.0.0.1")


def _processes() -> Finding:
    done = subprocess.run([sys.executable, "-c", GLOO], capture_output=True, text=True)
    if done.returncode:
        fix = "lessons on several processes show recorded results instead; a torch with gloo runs them"
        return Finding("several processes", "WARN", "torch has no gloo", fix)
    return Finding("several processes", "PASS", "torch with gloo")


def _notebooks() -> Finding:
    missing = [each.number for each in catalog.lessons() if not build.notebook_path(each, "student").is_file()]
    if missing:
        return Finding("lessons", "FAIL", f"missing: {', '.join(missing)}", "python -m workbench.lessons.build")
    return Finding("lessons", "PASS", f"{len(catalog.lessons())} lessons, {expected_minutes()} minutes in a class")


def _check() -> Finding:
    """Carry out one check, as lessons do."""
    exercise = catalog.exercise("01.3")
    try:
        with Checker() as checker:
            found = checker.check_text(exercise, exercise.solution)
    except WorkbenchError as error:
        return Finding("checks", "FAIL", str(error), "run it again; if it stays so, report this line")
    if found.verdict != "ok":
        return Finding("checks", "FAIL", f"a right answer was judged {found.verdict}", "install the workbench again")
    return Finding("checks", "PASS", "a right answer was judged right")
