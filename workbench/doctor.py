"""Looks at this machine and installation: each finding is PASS, WARN or FAIL, and what isn't PASS comes with its fix."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from workbench import catalog, machine
from workbench.ceilings import cache_folder
from workbench.part import FAMILIES

MIN_PYTHON = (3, 11)
GIB = 2**30
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `fix` is the next move and empty only for PASS."""

    name: str
    status: Literal["PASS", "WARN", "FAIL"]
    found: str
    fix: str = ""

    def to_json(self) -> dict[str, str]:
        return {"name": self.name, "status": self.status, "found": self.found, "fix": self.fix}


def examine(store: Path) -> list[Finding]:
    """Look at everything but the measured ceilings (a second or so, without torch)."""
    return [
        _python(),
        *_packages(),
        *_optional_parts(),
        _cores(),
        _instruction_sets(),
        _memory(),
        _disk(store),
        _writable("store", store),
        _writable("cache", cache_folder()),
        _browser(),
    ]


def _python() -> Finding:
    version = platform.python_version()
    if sys.version_info < MIN_PYTHON:
        return Finding("python", "FAIL", version, "install Python 3.11 or newer and make the environment again")
    return Finding("python", "PASS", version)


def _packages() -> list[Finding]:
    """One finding for all required packages that are well, one more for each that isn't."""
    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(text) for text in metadata.requires("workbench") or ()]
    except metadata.PackageNotFoundError:
        return [Finding("packages", "FAIL", "the workbench itself isn't installed", "pip install -e .")]
    needed = [each for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
    well, findings = [], []
    for each in needed:
        try:
            version = metadata.version(each.name)
        except metadata.PackageNotFoundError:
            findings.append(Finding(f"package {each.name}", "FAIL", "not installed", f"pip install '{each}'"))
            continue
        if each.specifier.contains(version, prereleases=True):
            well.append(f"{each.name} {version}")
        else:
            findings.append(Finding(f"package {each.name}", "FAIL", version, f"pip install '{each}'"))
    return [Finding("packages", "PASS", ", ".join(well)), *findings]


def _optional_parts() -> list[Finding]:
    """One warning for each part that can't be picked in this installation."""
    findings = []
    for family in FAMILIES:
        for part in catalog.parts(family):
            for reason in part.missing():
                what, _, command = reason.partition(": ")
                findings.append(Finding(f"part {family}/{part.name()}", "WARN", what, command))
    return findings


def _cores() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    load = os.getloadavg()[0]
    found = f"{cores} usable, load {load:.1f}, {machine.facts()['cpu']}"
    if load > 0.5 * cores:
        return Finding("cores", "WARN", found, "close other work before measuring: latencies will spread")
    return Finding("cores", "PASS", found)


def _instruction_sets() -> Finding:
    present = machine.facts()["isa"]
    found = ", ".join(present) or "none recognised"
    if not set(present) & {"avx512_vnni", "amx_int8", "asimddp", "i8mm"}:
        return Finding("instruction sets", "WARN", found, "no int8 dot products here: measure before choosing int8")
    return Finding("instruction sets", "PASS", found)


def _memory() -> Finding:
    import psutil

    memory = psutil.virtual_memory()
    found = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB free"
    if memory.available < GIB:
        return Finding("memory", "FAIL", found, "close other programs: a worker needs about 1 GiB")
    if memory.available < 3 * GIB:
        return Finding("memory", "WARN", found, "run studies with --workers 1")
    return Finding("memory", "PASS", found)


def _existing(folder: Path) -> Path:
    """Return `folder` or its nearest parent that exists."""
    folder = folder.absolute()
    return next(each for each in (folder, *folder.parents) if each.is_dir())


def _disk(store: Path) -> Finding:
    free = shutil.disk_usage(_existing(store)).free
    found = f"{free / GIB:.1f} GiB free at {store}"
    if free < GIB // 4:
        return Finding("disk", "FAIL", found, "free some space, or choose another place with --store")
    if free < 2 * GIB:
        return Finding("disk", "WARN", found, "a study of forty runs takes up to 1 GiB with its cache")
    return Finding("disk", "PASS", found)


def _writable(name: str, folder: Path) -> Finding:
    try:
        with tempfile.TemporaryFile(dir=_existing(folder)):
            return Finding(f"{name} folder", "PASS", str(folder))
    except OSError as error:
        fix = "choose another with --store" if name == "store" else "set XDG_CACHE_HOME to a folder you can write"
        return Finding(f"{name} folder", "FAIL", f"{folder}: {error.strerror}", fix)


def _browser() -> Finding:
    """A browser is needed by the browser tests and by charts saved as images, by nothing else."""
    system = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    own = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright")
    found = system or next((str(path) for path in sorted(own.glob("chromium*")) if path.is_dir()), None)
    if found is None:
        fix = "install chromium with the system's package manager, or: playwright install chromium"
        return Finding("browser", "WARN", "no Chromium found (only tests in a browser need one)", fix)
    return Finding("browser", "PASS", found)


def to_json(findings: list[Finding], measured: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{"ok", "findings": [{name, status, found, fix}], "ceilings": {…}}`; ok = no FAIL."""
    return {
        "ok": all(finding.status != "FAIL" for finding in findings),
        "findings": [finding.to_json() for finding in findings],
        "ceilings": dict(measured),
    }
