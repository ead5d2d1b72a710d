"""A new step is one file: it appears everywhere, and is held to every promise, with no other edit."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# The step file that CONTRIBUTING shows: what it says is what is tested.
ROUND_WEIGHTS = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.DOTALL)[0]


@pytest.fixture
def copy_with_a_new_step(tmp_path: Path) -> Path:
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "workbench", tmp_path / "workbench", ignore=ignore)
    for name in ("promises", "zoo", "methods"):  # promises borrow checkpoints of zoo and contexts of methods
        shutil.copytree(ROOT / "tests" / name, tmp_path / "tests" / name, ignore=ignore)
    for name in ("tests/__init__.py", "tests/conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "workbench" / "compress" / "round_weights.py").write_text(ROUND_WEIGHTS)
    return tmp_path


def ran(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )


@pytest.mark.slow
def test_a_step_file_is_all_it_takes(copy_with_a_new_step: Path) -> None:
    listed = ran(copy_with_a_new_step, "workbench.cli", "parts", "compress")
    assert listed.returncode == 0, listed.stderr
    assert "round_weights" in listed.stdout
    job = ["--model", "lenet_300_100", "--data", "digits", "--step", "train epochs=1", "--step", "round_weights bits=2"]
    done = ran(copy_with_a_new_step, "workbench.cli", "run", *job, "--metrics", "size", "--store", "runs")
    assert done.returncode == 0, done.stdout + done.stderr
    promised = ran(
        copy_with_a_new_step, "pytest", "-q", "tests/promises", "-k", "round_weights", "-p", "no:cacheprovider"
    )
    assert promised.returncode == 0, promised.stdout
    assert "passed" in promised.stdout
    assert int(promised.stdout.split(" passed")[0].split()[-1]) >= 12


@pytest.mark.slow
def test_a_step_that_breaks_a_promise_is_caught(copy_with_a_new_step: Path) -> None:
    path = copy_with_a_new_step / "workbench" / "compress" / "round_weights.py"
    path.write_text(path.read_text().replace(", ge=1, le=12", "").replace("weight.data.copy_(rounded)", "pass"))
    chosen = "round_weights and (bounded or changes_something)"
    promised = ran(copy_with_a_new_step, "pytest", "-q", "tests/promises", "-k", chosen, "-p", "no:cacheprovider")
    assert promised.returncode == 1
    failures = [line for line in promised.stdout.splitlines() if line.startswith("FAILED")]
    assert any("bounded" in line for line in failures)
    assert any("changes_something" in line for line in failures)
