"""Runs an artifact's load.py as somebody would who has only the format's own library."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from functools import cache

from packaging.requirements import Requirement

from workbench.nouns import Artifact

# Makes every top-level package outside the allowed distributions look as if it were not installed.
HOOK = """
import json, runpy, sys
refused = set(json.loads(sys.argv[1]))
class Customs:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in refused else self.finder.find_spec(name, path, target)
sys.meta_path[:] = [Customs(finder) for finder in sys.meta_path]
sys.argv = [sys.argv[2]]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def open_as_a_stranger(artifact: Artifact) -> subprocess.CompletedProcess[str]:
    """Run load.py in isolated mode with nothing importable but the card's `needs` and what those need."""
    refused = json.dumps(sorted(refused_packages(tuple(sorted(artifact.card["needs"])))))
    command = [sys.executable, "-I", "-c", HOOK, refused, f"{artifact.folder}/load.py"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd="/")


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
