"""Who may import whom: the tables below are the architecture."""

from __future__ import annotations

import ast
import functools
import itertools
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAMILIES = {"zoo", "data", "compress", "formats", "measure", "launch", "layout"}

# module or folder of workbench → what of workbench it may import. A family may also import its own `_helpers`.
GROUND = {"errors", "params", "nouns"}
FAMILY = GROUND | {"part", "reference"}
COUNTED = {"counting"}  # one way to count operations
MARKED = {"projection"}  # one way to put a mark into weights and to find it
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "params": {"errors"},
    "nouns": set(),
    "part": GROUND,
    "catalog": GROUND | {"part"},
    "job": GROUND | {"part", "catalog"},
    "reference": GROUND,
    "compare": GROUND,
    "estimate": GROUND,
    "_checkpoints": GROUND,
    "train": GROUND | {"_checkpoints"},
    "_deleting": GROUND,
    "_lock": GROUND,
    "_made": GROUND,
    "_torchlib": set(),
    "store": GROUND | {"_deleting"},
    "machine": GROUND,
    "recorder": GROUND,
    "counting": set(),
    "projection": GROUND,
    "zoo": FAMILY | COUNTED,
    "data": FAMILY,
    "formats": FAMILY | {"_torchlib"},
    "compress": FAMILY | COUNTED | MARKED | {"train", "machine"},  # machine: the blocks that its kernels work in
    "measure": FAMILY | {"compare"},  # intervals
    "launch": FAMILY | {"machine", "_torchlib"},  # what warms up stands aside while others measure
    "layout": FAMILY | {"train"},
    "marks": GROUND | {"store"},
    "_removable": GROUND | {"_deleting", "store", "marks"},
    "tidy": GROUND | {"_deleting", "store", "marks", "_removable", "wording"},
    "_manifest": GROUND | {"marks", "wording"},
    "exchange": GROUND | {"_deleting", "store", "marks", "_manifest"},
    "table": GROUND | {"_where", "part", "job", "catalog", "marks"},
    "_where": GROUND,
    "wording": GROUND,
    "charts": GROUND | {"compare", "table", "wording"},
}
# The tier of bench: the path from a job to a run.
BENCH = GROUND | {"part", "catalog", "job", "store", "machine", "recorder", "train", "launch", "prefix", "context"}
BENCH |= {"artifact", "describe", "one_more", "worker", "bench", "ranks", "_made"}
# What people call. None of it is known below.
MAY_IMPORT |= {
    "adopt": GROUND | {"data"},  # the part that owns the file of adopted arrays
    "batch": GROUND
    | {"_lock", "_made", "_where", "store", "recorder", "machine", "launch", "compare", "charts", "report", "wording"},
    "lab": GROUND,
    "protect": GROUND | MARKED | {"part", "catalog", "artifact", "store", "_lock"},
    "package": GROUND | {"artifact", "job", "marks", "measure", "protect", "store", "wording"},
    "serve": GROUND | {"part", "artifact", "store", "protect", "_lock"},
    "load": GROUND | {"store"},  # speaks the protocol alone: knows no server and no artifact
    "ceilings": GROUND | {"machine"},
    "plan": GROUND | {"ceilings"},
    "part_text": GROUND | {"catalog", "part"},
    "copy_as": GROUND | {"batch", "part", "part_text", "job", "study", "lab"},
    "memo": GROUND | {"compare", "table", "wording"},
    "lessons": GROUND
    | {
        "_lock",
        "batch",
        "ceilings",
        "doctor",
        "lab",
        "plan",
    },  # batch: executes solutions in a rehearsal; plan: judges layouts
    "doctor": GROUND | {"part", "catalog", "machine", "ceilings"},
    "report": GROUND | {"catalog", "job", "compare", "charts", "table", "wording", "store", "study"},
    "queue": BENCH | {"_lock"},
    "track": GROUND | {"batch", "store", "table"},  # the only room that knows MLflow
    "study": BENCH | {"part_text", "queue", "compare", "together"},
    "together": BENCH,
    "diagnose": BENCH,
    "search": BENCH
    | {"_lock", "ceilings", "compare", "copy_as", "diagnose", "estimate", "queue", "report", "study", "table"},
    "cli": BENCH
    | MARKED
    | {
        "search",
        "batch",
        "ceilings",
        "compare",
        "doctor",
        "estimate",
        "lab",
        "lessons",
        "part_text",
        "plan",
        "queue",
        "study",
        "table",
        "together",
        "diagnose",
        "charts",
        "exchange",
        "load",
        "marks",
        "package",
        "protect",
        "serve",
        "tidy",
        "track",
        "wording",
    },  # fmt: skip
}
for name in ("prefix", "context", "artifact", "describe", "one_more", "worker", "bench", "ranks"):
    MAY_IMPORT[name] = BENCH


def modules() -> list[Path]:
    return sorted((ROOT / "workbench").rglob("*.py"))


def room(path: Path) -> str:
    parts = path.relative_to(ROOT / "workbench").with_suffix("").parts
    return parts[0]


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@functools.cache
def imported(path: Path) -> frozenset[str]:
    """Return the dotted names that a file imports, at any depth of its code; type-checking blocks do not count."""
    tree = tree_of(path)
    skipped = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in itertools.chain.from_iterable(ast.walk(each) for each in block.body)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_its_room_may(path: Path) -> None:
    own = room(path)
    if own == "__init__":
        assert not {name for name in imported(path) if name.startswith("workbench.")}
        return
    allowed = MAY_IMPORT[own]  # a new room needs a row
    for name in imported(path):
        if not name.startswith("workbench."):
            continue
        other = name.split(".")[1]
        if other in ("__version__", own):
            continue
        assert other in allowed, f"{own} may not import {other}"
        if own in FAMILIES:
            assert other not in FAMILIES, f"families never import each other: {own} → {other}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_library_never_imports_jupyter(path: Path) -> None:
    kernel_side = {"ipywidgets", "IPython", "jupyterlab", "ipykernel", "anywidget", "widgets"}
    if path.name == "_warm_kernel.py":
        kernel_side -= {"ipykernel"}  # a process of it becomes the kernel, instead of `python -m ipykernel_launcher`
    roots = {name.split(".")[0] for name in imported(path)}
    assert not roots & kernel_side


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_papermill_is_imported_in_batch_only(path: Path) -> None:
    roots = {name.split(".")[0] for name in imported(path)}
    assert "papermill" not in roots or room(path) == "batch"


def test_a_lower_room_never_imports_a_higher_one() -> None:
    """The table itself has no cycle apart from the one tier that it names."""
    for name in GROUND | FAMILIES | {"part", "catalog", "job", "compare", "estimate", "train", "store"}:
        assert not MAY_IMPORT[name] & {"bench", "worker", "charts", "report", "cli", "study"}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_import_is_tried(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Try):
            caught = " ".join(ast.unparse(handler.type) for handler in node.handlers if handler.type)
            imports = any(isinstance(inner, ast.Import | ast.ImportFrom) for inner in node.body)
            assert not (imports and "ImportError" in caught), "absence is data: declare `requires`"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_broad_except_stands_only_where_everything_is_recorded(path: Path) -> None:
    broad = [
        node.lineno
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
        and not any(isinstance(inner, ast.Raise) for inner in ast.walk(node))  # tidying up and raising on is fine
    ]
    records = path.name in ("bench.py", "judging.py")  # judging: what a learner's answer raised, told to them
    assert not broad or records or room(path) == "cli", f"lines {broad}"
