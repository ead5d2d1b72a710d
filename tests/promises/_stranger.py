"""Runs an artifact's load.py as somebody would who has only the format's own library.

A process for each format has nothing importable but that library and what it needs. It forks for each artifact, and
imports beforehand what the artifacts before needed: the first one of a format finds nothing imported.
"""

from __future__ import annotations

import atexit
import importlib.metadata
import json
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from packaging.requirements import Requirement

from workbench.nouns import Artifact

# Makes every top-level package outside the allowed distributions look as if it were not installed.
CUSTOMS = """
import json, sys
refused = set(json.loads(sys.argv[1]))
class Customs:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in refused else self.finder.find_spec(name, path, target)
sys.meta_path[:] = [Customs(finder) for finder in sys.meta_path]
"""
SERVE = """
import contextlib, importlib, os, runpy, signal, traceback
def stranger(script, told):
    for stream, name in ((sys.stdout, "out"), (sys.stderr, "err")):
        os.dup2(os.open(os.path.join(told, name), os.O_WRONLY | os.O_CREAT), stream.fileno())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    signal.alarm(120)
    before, code = set(sys.modules), 0
    sys.argv = [script]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if code and not isinstance(end.code, int):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    with open(os.path.join(told, "modules"), "w") as file:
        file.write("\\n".join(name for name in sys.modules if name not in before))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
for line in sys.stdin:
    script, told = json.loads(line)
    pid = os.fork()
    if not pid:
        stranger(script, told)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    needed = [] if code else open(os.path.join(told, "modules")).read().split()
    print(code, flush=True)
    for name in needed:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
"""


def open_as_a_stranger(artifact: Artifact) -> subprocess.CompletedProcess[str]:
    """Run load.py in isolated mode with nothing importable but the card's `needs` and what those need."""
    command = ["load.py", artifact.folder]
    process = _process(artifact.format, tuple(sorted(artifact.card["needs"])))
    assert process.stdin and process.stdout
    with tempfile.TemporaryDirectory() as told:
        process.stdin.write(json.dumps([f"{artifact.folder}/load.py", told]) + "\n")
        process.stdin.flush()
        code = int(process.stdout.readline())
        out, err = (Path(told, name).read_text() for name in ("out", "err"))
    return subprocess.CompletedProcess(command, code, out, err)


@cache
def _process(format_name: str, needs: tuple[str, ...]) -> subprocess.Popen[str]:
    refused = json.dumps(sorted(refused_packages(needs)))
    command = [sys.executable, "-I", "-c", CUSTOMS + SERVE, refused]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/")
    atexit.register(process.kill)
    return process


@cache
def refused_packages(needs: tuple[str, ...]) -> frozenset[str]:
    """Return the top-level import names of every installed distribution outside the closure of `needs`."""
    allowed = closure(needs)
    owners = importlib.metadata.packages_distributions()
    refused = {
        package for package, distributions in owners.items() if not {normal(each) for each in distributions} & allowed
    }
    return frozenset(refused | {"workbench", "widgets", "tests"})


@cache
def closure(needs: tuple[str, ...]) -> frozenset[str]:
    """Return the normalised names of `needs` and everything that they require here."""
    waiting, found = list(needs), set[str]()
    while waiting:
        name = normal(waiting.pop())
        if name in found:
            continue
        found.add(name)
        try:
            required = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for text in required:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return frozenset(found)


def normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
