"""Who may import whom: the tables below are the architecture."""

from __future__ import annotations

import ast
import functools
import itertools
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FAMILIES = {"zoo", "data", "compress", "formats", "measure", "launch", "layout"}

# module or folder of workbench → what of workbench it may import. A family may also import its own `_helpers`.
GROUND = {"errors", "params", "nouns", "extents"}
FAMILY = GROUND | {"part", "reference"}
TEXT = {"tokenizer"}  # one way to turn text into tokens and back
HEADERS = {"_safetensors"}  # one way to look into a checkpoint
GRIDS = {"grids", "_float8"}  # one way to round weights and to pack integers
STREAMED = {"streamed", "_numbers"} | GRIDS  # weights without torch
COUNTED = {"counting"}  # one way to count operations
MARKED = {"projection"}  # one way to put a mark into weights and to find it
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "params": {"errors"},
    "nouns": set(),
    "extents": set(),
    "timetable": {"extents"},
    "part": GROUND,
    "catalog": GROUND | {"part"},
    "job": GROUND | {"part", "catalog"},
    "reference": GROUND,
    "compare": GROUND,
    "estimate": GROUND,
    "_checkpoints": GROUND,
    "_meter": set(),
    "spread": GROUND | {"_checkpoints"},
    "train": GROUND | {"spread", "_meter"},
    "_deleting": GROUND,
    "_lock": GROUND,
    "_made": GROUND,
    "_torchlib": set(),
    "open_inference": set(),
    "_drafts": GROUND,
    "store": GROUND | {"_deleting", "_drafts"},
    "machine": GROUND,
    "recorder": GROUND,
    "counting": set(),
    "projection": GROUND,
    "_safetensors": GROUND,
    "tokenizer": GROUND,
    "grids": GROUND | {"_compiled_grids"},
    "_compiled_grids": set(),
    "_float8": {"grids", "_compiled_float8"},
    "_compiled_float8": set(),
    "_numbers": GROUND | GRIDS,
    "streamed": GROUND | {"_numbers"},
    "zoo": FAMILY | COUNTED | HEADERS | TEXT,
    "data": FAMILY | TEXT,
    "formats": FAMILY | GRIDS | {"_torchlib"},
    "compress": FAMILY
    | COUNTED
    | MARKED
    | STREAMED
    | {"spread", "train", "machine"},  # machine: the blocks that its kernels work in
    "measure": FAMILY | {"compare"},  # intervals
    "launch": FAMILY | {"machine", "_torchlib"},  # what warms up stands aside while others measure
    "layout": FAMILY | {"spread", "timetable"},
    "marks": GROUND | {"store"},
    "_removable": GROUND | {"_deleting", "store", "marks"},
    "tidy": GROUND | {"_deleting", "store", "marks", "_removable", "wording"},
    "_manifest": GROUND | {"marks", "wording"},
    "exchange": GROUND | {"_deleting", "store", "marks", "_manifest"},
    "table": GROUND | {"_where", "part", "job", "catalog", "marks"},
    "_where": GROUND,
    "wording": GROUND,
    "charts": GROUND | {"compare", "table", "wording", "timetable"},
}
# The tier of bench: the path from a job to a run.
BENCH = GROUND | {
    "tokenizer",
    "part",
    "catalog",
    "job",
    "store",
    "machine",
    "recorder",
    "spread",
    "train",
    "launch",
    "prefix",
    "context",
}
BENCH |= {"artifact", "describe", "states", "fresh", "one_more", "worker", "bench", "ranks", "_made"}
# What people call. None of it is known below.
MAY_IMPORT |= {
    "adopt": GROUND | {"data"},  # the part that owns the file of adopted arrays
    "batch": GROUND
    | {"_lock", "_made", "_where", "store", "recorder", "machine", "launch", "compare", "charts", "report", "wording"},
    "lab": GROUND,
    "protect": GROUND | MARKED | {"part", "catalog", "artifact", "store", "_lock"},
    "telling": GROUND,  # work in a process of its own
    "shrink": GROUND | HEADERS | STREAMED | TEXT | {"part", "catalog", "train", "_lock", "telling"},
    "package": GROUND | {"open_inference", "artifact", "job", "marks", "measure", "protect", "store", "wording"},
    "serve": GROUND | TEXT | {"open_inference", "part", "artifact", "store", "protect", "_lock"},
    "load": GROUND | {"open_inference", "store"},  # speaks the protocol alone: knows no server and no artifact
    "ceilings": GROUND | {"machine"},
    # layout: what is simulated is split by the library's own layouts
    "plan": GROUND | HEADERS | {"ceilings", "measure", "part", "catalog", "job", "timetable", "telling", "layout"},
    "part_text": GROUND | {"catalog", "part"},
    "copy_as": GROUND | {"batch", "part", "part_text", "job", "study", "lab"},
    "memo": GROUND | {"compare", "table", "wording"},
    "lessons": BENCH  # a challenge is a run, a stored study runs of a store
    | {
        "_lock",
        "batch",
        "ceilings",
        "compare",
        "doctor",
        "exchange",
        "lab",
        "marks",
        "plan",
        "study",
    },  # batch: executes solutions
    "doctor": GROUND | {"part", "catalog", "machine", "ceilings"},
    "report": GROUND | {"catalog", "job", "compare", "charts", "table", "wording", "store", "study"},
    "queue": BENCH | {"_lock"},
    "track": GROUND | {"batch", "store", "table"},  # the only room that knows MLflow
    "study": BENCH | {"part_text", "queue", "compare", "together"},
    "together": BENCH,
    "diagnose": BENCH | {"compare"},
    "rank_log": BENCH,
    "scale": BENCH | {"table"},
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
        "scale",
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
        "shrink",
        "tidy",
        "track",
        "wording",
    },  # fmt: skip
}
for name in ("prefix", "context", "artifact", "describe", "states", "fresh", "one_more", "worker", "bench", "ranks"):
    MAY_IMPORT[name] = BENCH


def modules() -> list[Path]:
    return sorted((ROOT / "workbench").rglob("*.py"))


def room(path: Path) -> str:
    parts = path.relative_to(ROOT / "workbench").with_suffix("").parts
    return parts[0]


def roots(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


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


def test_modules_import_only_what_their_rooms_may() -> None:
    wrong = [f"{path.relative_to(ROOT)}: {problem}" for path in modules() for problem in forbidden(path)]
    assert not wrong


def forbidden(path: Path) -> Iterator[str]:
    """Yield what a module imports that its room may not; a new room needs a row in the table."""
    own = room(path)
    ours = sorted(name for name in imported(path) if name.startswith("workbench."))
    if own == "__init__":
        yield from ours
        return
    for name in ours:
        other = name.split(".")[1]
        if other in ("__version__", own):
            continue
        if own in FAMILIES and other in FAMILIES:
            yield f"families never import each other: {own} → {other}"
        elif other not in MAY_IMPORT[own]:
            yield f"{own} may not import {other}"


def test_the_library_never_imports_jupyter() -> None:
    kernel_side = {"ipywidgets", "IPython", "jupyterlab", "ipykernel", "anywidget", "widgets"}
    # a process of _warm_kernel.py becomes the kernel, instead of `python -m ipykernel_launcher`
    found = {(path.name, root) for path in modules() for root in roots(path) & kernel_side}
    assert found <= {("_warm_kernel.py", "ipykernel")}


def test_papermill_is_imported_in_batch_only() -> None:
    assert {room(path) for path in modules() if "papermill" in roots(path)} == {"batch"}


def test_a_lower_room_never_imports_a_higher_one() -> None:
    """The table itself has no cycle apart from the one tier that it names."""
    for name in GROUND | FAMILIES | {"part", "catalog", "job", "compare", "estimate", "train", "store"}:
        assert not MAY_IMPORT[name] & {"bench", "worker", "charts", "report", "cli", "study"}


def test_no_import_is_tried() -> None:
    """Absence is data: what may be missing is declared with `requires`."""
    assert not [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in modules()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Try)
        and any(isinstance(inner, ast.Import | ast.ImportFrom) for inner in node.body)
        and any("ImportError" in ast.unparse(handler.type) for handler in node.handlers if handler.type)
    ]


def test_broad_except_stands_only_where_everything_is_recorded() -> None:
    assert not [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in modules()
        if path.name not in ("bench.py", "judging.py")
        and room(path) != "cli"  # judging: what a learner's answer raised, told to them
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
        and not any(isinstance(inner, ast.Raise) for inner in ast.walk(node))  # tidying up and raising on is fine
    ]
