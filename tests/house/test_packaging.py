"""What is installed: one source of pins, an environment that follows it, and a wheel that works on its own."""

from __future__ import annotations

import importlib.metadata
import json
import re
import site
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FIXED_BY_NAME = ("jupyterlab", "ipywidgets", "torch", "plotly", "pandas", "papermill", "nbval", "pytest")


def pins() -> dict[str, str]:
    """Return name → version of constraints.txt."""
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines), "a pin is NAME==VERSION and nothing else"
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def requirements() -> list[Requirement]:
    """Return every requirement of the project but its own extras."""
    extras = [entry for group in PROJECT["optional-dependencies"].values() for entry in group]
    found = [Requirement(entry) for entry in PROJECT["dependencies"] + extras]
    return [each for each in found if each.name != PROJECT["name"]]


def brought_along() -> set[str]:
    """Return the names of all packages that `pip install -e .[all]` can bring, on any platform."""
    waiting, seen = requirements(), set[tuple[str, frozenset[str]]]()
    while waiting:
        wanted = waiting.pop()
        key = (canonicalize_name(wanted.name), frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            needed = importlib.metadata.requires(wanted.name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # of another platform
        for text in needed:
            each = Requirement(text)
            asked_for = [""] + sorted(wanted.extras)
            if not each.marker or "extra" not in str(each.marker) or any(
                each.marker.evaluate({"extra": extra}) for extra in asked_for
            ):  # fmt: skip
                waiting.append(each)
    return {name for name, _ in seen}


def test_every_requirement_has_a_pin_that_it_allows() -> None:
    pinned = pins()
    for wanted in requirements():
        name = canonicalize_name(wanted.name)
        assert name in pinned, f"{wanted} has no pin in constraints.txt"
        assert wanted.specifier.contains(pinned[name]), f"{wanted} doesn't allow the pin {pinned[name]}"


def test_no_pin_is_for_a_package_that_nobody_installs() -> None:
    assert set(pins()) - brought_along() == set()


def test_the_pins_are_what_is_tested_here() -> None:
    def here(name: str) -> str:
        return importlib.metadata.version(name).split("+")[0]  # 2.13.0+cpu is torch 2.13.0

    assert {name: here(name) for name in pins()} == pins()


def test_the_conda_environment_follows_the_project() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    from_conda = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    from_pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert [re.split("[=<>]", entry)[0] for entry in from_conda] == ["python", "pip"]
    assert from_conda[0].removeprefix("python=") in PROJECT["requires-python"]
    assert from_pip == ["-c constraints.txt", *FIXED_BY_NAME, "-e .[all]"]
    assert set(FIXED_BY_NAME) <= {canonicalize_name(each.name) for each in requirements()}


@pytest.mark.slow
def test_the_wheel_works_in_an_environment_of_its_own(tmp_path: Path) -> None:
    """Third-party packages are borrowed through a .pth instead of installing 2 GB again; our own come from the wheel."""
    wheel = _built_wheel(tmp_path)
    python = _environment_without_us(tmp_path / "env")
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel], check=True)
    code = """
import json, pathlib, widgets, workbench
from workbench.lab import folder_to_work_in, notebooks_folder
folder = notebooks_folder()
mine = folder_to_work_in(pathlib.Path.cwd()) / "00_tour.ipynb"
mine.write_text("changed by me")
folder_to_work_in(pathlib.Path.cwd())
print(json.dumps({
    "packages": [workbench.__file__, widgets.__file__],
    "notebooks": sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.ipynb")),
    "mine": [str(mine), mine.read_text()],
    "studies": sorted(path.name for path in (pathlib.Path(workbench.__file__).parent / "studies").glob("*.yaml")),
    "static": sorted(path.name for path in (pathlib.Path(widgets.__file__).parent / "static").iterdir()),
}))
"""
    told = json.loads(_output_of([str(python), "-c", code], cwd=tmp_path))
    assert all(str(tmp_path) in path for path in told["packages"])
    in_git = sorted(path.relative_to(ROOT / "notebooks").as_posix() for path in (ROOT / "notebooks").rglob("*.ipynb"))
    assert told["notebooks"] == [name for name in in_git if ".ipynb_checkpoints" not in name]
    assert told["mine"] == [str(tmp_path / "workbench-notebooks" / "notebooks" / "00_tour.ipynb"), "changed by me"]
    assert told["static"] == sorted(path.name for path in (ROOT / "widgets" / "static").iterdir())
    assert told["studies"] == sorted(path.name for path in (ROOT / "workbench" / "studies").glob("*.yaml"))
    here = _output_of([sys.executable, "-m", "workbench.cli", "parts", "--json"], cwd=ROOT)
    assert json.loads(_output_of([str(python.parent / "workbench"), "parts", "--json"], cwd=tmp_path)) == json.loads(
        here
    )


def _built_wheel(folder: Path) -> Path:
    """Build from what git knows and what is new, in a copy, so that nothing is written into the checkout."""
    listed = _output_of(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT).split("\0")
    for name in listed:
        if name and (ROOT / name).is_file():
            copy = folder / "source" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((ROOT / name).read_bytes())
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "."]
    subprocess.run([*build, "-w", str(folder)], check=True, cwd=folder / "source")
    return next(folder.glob("workbench-*.whl"))


def _environment_without_us(folder: Path) -> Path:
    """Make an environment that sees this one's packages, but not its editable install of this project."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    purelib = Path(
        _output_of([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], cwd=folder)
    )
    # A plain path line: .pth files inside the borrowed folders (the editable install is one) aren't read.
    (purelib / "borrowed.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    refused = subprocess.run([python, "-c", "import workbench"], cwd=folder, capture_output=True)
    assert refused.returncode != 0, "the empty environment already sees the workbench"
    return python


def _output_of(command: list[str], *, cwd: Path) -> str:
    done = subprocess.run(command, check=True, cwd=cwd, capture_output=True, text=True)
    return done.stdout.strip()
