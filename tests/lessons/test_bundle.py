"""The offline bundle: gathered without the source being touched, installed without an index, refused when damaged or elsewhere.

A small package stands for the workbench; the whole one is made and installed by `benchmarks/workshop_bundle.py`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from workbench.errors import InvalidInput
from workbench.lessons import bundle

PROJECT = """[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"
[project]
name = "small"
version = "1.0"
dependencies = ["packaging>=24"]
[project.optional-dependencies]
more = ["small[most]"]
most = ["typer"]
[tool.setuptools]
py-modules = ["small"]
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A project of one module, with what a checkout has and nobody should get."""
    folder = tmp_path / "source"
    (folder / "runs" / "mine").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PROJECT.replace('dependencies = ["packaging>=24"]\n', ""))
    (folder / "small.py").write_text("VALUE = 7\n")
    return folder


@pytest.fixture
def made(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An unpacked bundle; pip finds its own wheel in a folder, and asks no index."""
    version = metadata.version("pip")
    with zipfile.ZipFile(tmp_path / f"pip-{version}-py3-none-any.whl", "w") as archive:
        for file in metadata.files("pip") or ():
            if file.parts[0].startswith("pip") and file.suffix != ".pyc":
                archive.write(file.locate(), file.as_posix())
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    target = bundle.make(tmp_path / "small.zip", source, project="small", extra="")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.delenv("PIP_NO_INDEX")
    with zipfile.ZipFile(target) as archive:
        archive.extractall(tmp_path / "unpacked")
    return tmp_path / "unpacked"


def _install(unpacked: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-I", "install.py", "class"]
    return subprocess.run(words, cwd=unpacked, capture_output=True, text=True)


def test_a_bundle_installs_without_an_index_and_notices_damage(made: Path, source: Path) -> None:
    assert sorted(path.name for path in source.iterdir()) == ["pyproject.toml", "runs", "small.py"]
    assert {path.name for path in made.iterdir()} == {"README.txt", "install.py", "manifest.json", "wheels"}
    done = _install(made)
    assert done.returncode == 0, done.stderr
    python = made / "class" / ".venv" / "bin" / "python"
    told = subprocess.run(
        [python, "-c", "import small; print(small.VALUE, small.__file__)"], capture_output=True, text=True
    )
    assert told.stdout.startswith(f"7 {made.resolve()}")

    wheel = next((made / "wheels").glob("small-*.whl"))
    wheel.write_bytes(wheel.read_bytes()[:-1])
    manifest = json.loads((made / "manifest.json").read_text())
    (made / "manifest.json").write_text(json.dumps(manifest | {"platform": "win-amd64"}))
    done = _install(made)
    assert done.returncode == 2 and f"wheels/{wheel.name} is damaged" in done.stderr and "for win-amd64" in done.stderr


def test_all_that_is_asked_for_is_counted_extras_too(source: Path) -> None:
    (source / "pyproject.toml").write_text(PROJECT)
    plain, more = bundle.needed(source, ""), bundle.needed(source, "more")
    assert set(plain.packages) == {"packaging"} and {"packaging", "typer", "rich"} <= set(more.packages)
    assert plain.packages["packaging"] == (metadata.version("packaging"), plain.num_bytes) and plain.num_bytes > 10_000
    assert more.largest(1)[0][1] == max(size for _, size in more.packages.values())


def test_what_cant_be_bundled_is_refused_before_anything_is_made(source: Path, tmp_path: Path) -> None:
    (source / "pyproject.toml").write_text(PROJECT.replace("packaging>=24", "no-such-package"))
    with pytest.raises(InvalidInput, match="no-such-package"):
        bundle.make(tmp_path / "x.zip", source, project="small", extra="")
    (tmp_path / "x.zip").write_text("mine")
    with pytest.raises(InvalidInput, match="exists already"):
        bundle.make(tmp_path / "x.zip", source, project="small", extra="")
    assert (tmp_path / "x.zip").read_text() == "mine"


def test_the_lessons_need_what_the_bundle_takes() -> None:
    """The workbench's own bundle holds the server and the signatures of lessons 09 and 10."""
    found = bundle.needed(bundle.checkout()).packages
    assert {"torch", "jupyterlab", "fastapi", "tritonclient", "model-signing"} <= set(found) and "pytest" not in found
