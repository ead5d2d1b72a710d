"""House rules of notebooks, read from the files; executing them is in tests/notebooks."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(path for path in (ROOT / "notebooks").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
MAX_CELLS, MAX_DEF_LINES = 35, 5
MAX_ANSWER_LINES = 20  # of what a learner writes: cells tagged `exercise` or `solution`
JUPYTER_ONLY = re.compile(r"^\s*[%!?]")


def cells_of(path: Path, kind: str = "code") -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def source_of(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def problems_of(path: Path) -> list[str]:
    """Return every broken rule of one notebook."""
    record, code = json.loads(path.read_text()), cells_of(path)
    found = []
    if len(record["cells"]) > MAX_CELLS:
        found.append(f"{len(record['cells'])} cells, more than {MAX_CELLS}")
    if not code or "parameters" not in code[0]["metadata"].get("tags", []):
        found.append("the first code cell isn't tagged `parameters`")
    if any("id" not in cell for cell in record["cells"]):
        found.append("a cell has no id")
    if "widgets" in record["metadata"] or "papermill" in record["metadata"]:
        found.append("metadata of an execution is left")
    if record["metadata"].get("kernelspec", {}).get("name") != "python3":
        found.append("its kernel isn't python3")
    for number, cell in enumerate(code, 1):
        found += [f"code cell {number}: {problem}" for problem in problems_of_cell(cell)]
    return found


def problems_of_cell(cell: dict[str, Any]) -> list[str]:
    source = source_of(cell)
    found = ["outputs are left in it"] if cell["outputs"] or cell["execution_count"] else []
    if re.search(r"pip\s+install", source):
        found.append("installs packages")
    if re.search(r"""["'](cuda|mps|cpu)(:\d+)?["']""", source):
        found.append("names a device")
    if re.search(r"""["']/(home|root|tmp|work|Users)\b""", source):
        found.append("names a path of one machine")
    if any(JUPYTER_ONLY.match(line) for line in source.splitlines()):
        return [*found, "is not plain Python"]
    tree = ast.parse(source)
    is_answer = bool({"exercise", "solution"} & set(cell["metadata"].get("tags", [])))
    longest = MAX_ANSWER_LINES if is_answer else MAX_DEF_LINES
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno + 1 > longest:
            found.append(f"def {node.name} is longer than {longest} lines: it belongs into the library")
    if "parameters" in cell["metadata"].get("tags", []):
        found += [problem for statement in tree.body for problem in problems_of_parameter(statement)]
    return found


def problems_of_parameter(statement: ast.stmt) -> list[str]:
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
        return [f"the parameters cell holds more than assignments: {ast.unparse(statement)}"]
    try:
        ast.literal_eval(statement.value)
    except ValueError:  # papermill injects after this cell, so a derived value would keep the default
        return [f"a parameter is not a literal: {ast.unparse(statement)}"]
    return []


def test_there_are_notebooks() -> None:
    assert {"00_tour.ipynb", "20_compare.ipynb"} <= {path.name for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_keeps_the_house_rules(path: Path) -> None:
    assert problems_of(path) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_imports_public_names_only(path: Path) -> None:
    for cell in cells_of(path):
        for node in ast.walk(ast.parse(source_of(cell))):
            if isinstance(node, ast.ImportFrom):
                names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
                assert not [name for name in names if name.startswith("_")], ast.unparse(node)


def test_the_rules_can_be_broken() -> None:
    bad = {
        "metadata": {"tags": ["parameters"]},
        "outputs": [{}],
        "execution_count": 1,
        "source": ["a = 1\n", "b = a * 2\n", "!pip install x"],
    }
    assert problems_of_cell(bad) == ["outputs are left in it", "installs packages", "is not plain Python"]
    derived = bad | {"outputs": [], "execution_count": None, "source": ["a = 1\n", "b = a * 2"]}
    assert problems_of_cell(derived) == ["a parameter is not a literal: b = a * 2"]
    long = {"metadata": {}, "outputs": [], "execution_count": None, "source": ["def f():\n"] + ["    x = 1\n"] * 6}
    assert problems_of_cell(long) == ["def f is longer than 5 lines: it belongs into the library"]
