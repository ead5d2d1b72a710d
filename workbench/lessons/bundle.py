"""One zip for a room without a network: wheels of everything that the lessons need, a script that installs from them.

install.py       makes an environment and installs, without asking an index; Python alone is needed
wheels/          this workbench (with notebooks, stored studies, checkpoints), what it needs, and pip
manifest.json    for which Python and platform, what is installed, sha256 of each wheel
README.txt       three lines for people
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from workbench.errors import InvalidInput, WorkbenchError
from workbench.lessons import build, catalog
from workbench.nouns import SCHEMA

PROJECT, EXTRA = "workbench", "workshop"
LEFT_BEHIND = (".*", "__pycache__", "*.egg-info", "runs", "reports", "build", "dist", "kept", "progress.*")
INSTALLER = Path(__file__).with_name("_install.py")
README = """The workshop, for machines without a network. With Python {python} on {platform}:

    python{python} install.py FOLDER

Everything is in wheels/: the notebooks, their data and stored results lie inside {wheel}.
"""


@dataclass(frozen=True)
class Needed:
    """Packages that a bundle holds, as they are installed here: name → (version, bytes on disk)."""

    packages: dict[str, tuple[str, int]]

    @property
    def num_bytes(self) -> int:
        return sum(size for _, size in self.packages.values())

    def largest(self, count: int) -> list[tuple[str, int]]:
        """Return the names and bytes of the largest packages."""
        sizes = [(name, size) for name, (_, size) in self.packages.items()]
        return sorted(sizes, key=lambda each: -each[1])[:count]


def needed(source: Path, extra: str = EXTRA) -> Needed:
    """Return what a project's folder asks for, at any depth, as it is installed here.

    Raises InvalidInput for what is missing here.
    """
    found, missing = dict[str, tuple[str, int]](), list[str]()
    waiting, seen = _asked_for(source, extra), set[tuple[str, frozenset[str]]]()
    while waiting:
        wanted = waiting.pop()
        name, key = canonicalize_name(wanted.name), (canonicalize_name(wanted.name), frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            missing.append(wanted.name)
            continue
        found[name] = (distribution.version, sum(file.size or 0 for file in distribution.files or ()))
        waiting += _requirements(distribution, wanted.extras)
    if missing:
        raise InvalidInput(
            [f"not installed here: {', '.join(sorted(missing))}"],
            next_move=f"pip install -e '.[{extra}]' first: a bundle holds what was rehearsed",
        )
    return Needed(dict(sorted(found.items())))


def _asked_for(source: Path, extra: str) -> list[Requirement]:
    """Return what a project's own file asks for, with one of its extras, which may name others."""
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    extras = project.get("optional-dependencies", {})
    found, waiting = list[Requirement](), [*project.get("dependencies", ()), *(extras[extra] if extra else ())]
    while waiting:
        each = Requirement(waiting.pop())
        if canonicalize_name(each.name) == canonicalize_name(project["name"]):
            waiting += [text for name in each.extras for text in extras[name]]
        else:
            found.append(each)
    return found


def _requirements(distribution: metadata.Distribution, extras: set[str]) -> Iterator[Requirement]:
    """Give the requirements of a distribution that count on this machine, with these extras."""
    for text in distribution.requires or ():
        each = Requirement(text)
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield each


def make(
    target: Path, source: Path | None = None, *, project: str = PROJECT, extra: str = EXTRA,
    say: Callable[[str], None] = lambda text: None,
) -> Path:  # fmt: skip
    """Write the bundle and return its path: the versions that are installed here, from pip's index and cache.

    `source` is the project's folder (None: the checkout that this package runs from). Raises InvalidInput when there is
    none or the target exists, WorkbenchError when pip can't get a wheel.
    """
    source = source or checkout()
    problems = [f"{target} exists already"] if target.exists() else []
    problems += [] if target.absolute().parent.is_dir() else [f"no folder {target.absolute().parent}"]
    if problems:
        raise InvalidInput(problems, next_move="name a new file in a folder that is there")
    wanted = needed(source, extra)
    with tempfile.TemporaryDirectory(prefix="workbench-bundle-", dir=target.absolute().parent) as place:
        wheels, copy = Path(place, "wheels"), Path(place, "source")
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns(*LEFT_BEHIND))  # building writes beside the source
        for lesson in catalog.lessons():
            if build.notebook_path(lesson, "student", copy / "notebooks" / "workshop").is_file():
                build.write(lesson, "student", copy / "notebooks" / "workshop")  # without what somebody tried in it
        _gather(wheels, copy, wanted, project, extra, say)
        partial = Path(place, "bundle.zip")
        _pack(partial, wheels, f"{project}[{extra}]" if extra else project, project)
        partial.replace(target)
    return target


def checkout() -> Path:
    """Return the project's folder that this package runs from; raises InvalidInput for an installed package."""
    folder = Path(__file__).parents[2]
    if not (folder / "pyproject.toml").is_file():
        raise InvalidInput(
            ["a bundle is made from the workbench's source, this one was installed without it"],
            next_move="clone it, and run workbench instructor bundle there",
        )
    return folder


def _gather(wheels: Path, source: Path, wanted: Needed, project: str, extra: str, say: Callable[[str], None]) -> None:
    """Fill a folder with the project's wheel and those of all it needs, pip too."""
    pins = Path(wheels.parent, "pins.txt")
    names = {name: version for name, (version, _) in wanted.packages.items()}
    names.setdefault("pip", metadata.version("pip"))
    pins.write_text("".join(f"{name}=={version}\n" for name, version in names.items()))
    own = f"{project}[{extra}] @ {source.absolute().as_uri()}" if extra else str(source.absolute())
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--disable-pip-version-check",
        "--progress-bar=off",
        "-w",
        str(wheels),
    ]
    command += ["-c", str(pins), *_isolation(), own, f"pip=={names['pip']}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ)
    assert process.stdout
    last = []
    for line in process.stdout:
        last = [*last[-4:], line.strip()]
        if line.startswith(("Collecting", "Saved", "Building")):
            say(line.strip())
    if process.wait():
        raise WorkbenchError(
            f"pip could not gather the wheels: {' | '.join(last)}",
            next_move="make the bundle where there is a network, or an index with these versions",
        )
    kept = {canonicalize_name(parse_wheel_filename(path.name)[0]) for path in wheels.glob("*.whl")}
    if lacking := sorted({*names, canonicalize_name(project)} - kept):
        raise WorkbenchError(f"pip gathered no wheel of {', '.join(lacking)}", next_move="install the workbench again")


def _isolation() -> list[str]:
    """Build the own wheel with this environment's setuptools where it is new enough: then no index is asked for it."""
    try:
        return ["--no-build-isolation"] if int(metadata.version("setuptools").partition(".")[0]) >= 77 else []
    except metadata.PackageNotFoundError:
        return []


def _pack(target: Path, wheels: Path, requirement: str, project: str) -> None:
    found = sorted(wheels.glob("*.whl"))
    own = next(path.name for path in found if canonicalize_name(parse_wheel_filename(path.name)[0]) == project)
    python, platform = "{}.{}".format(*sys.version_info[:2]), sysconfig.get_platform()
    manifest = {
        "schema": SCHEMA, "python": python, "platform": platform, "requirements": [requirement],
        "files": {f"wheels/{path.name}": _sha256(path) for path in found},
    }  # fmt: skip
    with zipfile.ZipFile(target, "x", zipfile.ZIP_STORED) as archive:  # wheels are compressed already
        archive.writestr("manifest.json", json.dumps(manifest, indent=1))
        archive.writestr("README.txt", README.format(python=python, platform=platform, wheel=own))
        archive.write(INSTALLER, "install.py")
        for path in found:
            archive.write(path, f"wheels/{path.name}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def free_bytes(target: Path) -> int:
    """Return how much room there is where the bundle will lie."""
    return shutil.disk_usage(target.absolute().parent).free
