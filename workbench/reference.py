"""A person's own function, named `module:function` or `path/to/file.py:function`.

A file is run as it lies: its folder is importable while it loads, and nothing of it is copied.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.errors import InvalidInput, WorkbenchError
from workbench.params import did_you_mean


def problems(reference: str) -> list[str]:
    """Return what is wrong with a reference, without running any of it; empty means it can be loaded."""
    place, colon, function = reference.rpartition(":")
    if not (colon and place and function.isidentifier()):
        return [f"{reference!r} is not of the form module:function or path/file.py:function"]
    path = _path(place)
    if path is None:
        return [f"no module {place!r} can be imported from here; a file is named by its path: path/file.py:{function}"]
    if not path.is_file():
        return [f"no file {str(path)!r} (relative paths start at {str(Path.cwd())!r})"]
    if path.suffix != ".py":
        return []  # a compiled module: what it holds shows when it is imported
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        return [f"{path} is not valid Python: {error.msg} in line {error.lineno}"]
    names = _public_names(tree)
    return [] if function in names else [f"{path} defines no {function!r}{did_you_mean(function, names)}"]


def load(reference: str) -> Callable[..., Any]:
    """Import and return the function; raises InvalidInput, or WorkbenchError when its own code raises on import."""
    found = problems(reference)
    if found:
        raise InvalidInput(found)
    place, _, function = reference.rpartition(":")
    try:
        module = _run_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except ImportError as error:
        raise WorkbenchError(f"{place} can't be imported: {error}", next_move="install what it needs") from error
    value = getattr(module, function, None)
    if not callable(value):
        raise InvalidInput([f"{reference} is {type(value).__name__}, not a function"])
    return value


def source_files(reference: str) -> list[Path]:
    """Return the file of a reference and the files beside it that it imports, at any depth."""
    start = _path(reference.rpartition(":")[0])
    waiting, seen = [start] if start and start.is_file() else [], list[Path]()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.append(path)
        if path.suffix == ".py":
            beside = (path.parent / f"{name.split('.')[0]}.py" for name in _imported(ast.parse(path.read_bytes())))
            waiting += [neighbour for neighbour in beside if neighbour.is_file()]
    return sorted(seen)


def _path(place: str) -> Path | None:
    """Return the file behind a reference's left side; None when there is no such module."""
    if place.endswith(".py"):
        return Path(place).expanduser().absolute()
    try:
        spec = importlib.util.find_spec(place)
    except (ImportError, ValueError):  # a parent package is missing, or the name is no name
        return None
    return Path(spec.origin) if spec and spec.origin else None


def _run_file(path: Path) -> Any:
    """Run a file as a module named after its content, so that an edited file is run anew and its classes pickle."""
    path = path.expanduser().absolute()
    name = f"workbench_own_{hashlib.sha256(str(path).encode() + path.read_bytes()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.path.remove(str(path.parent))
    return module


def _public_names(tree: ast.Module) -> list[str]:
    """Return what a module defines or imports at its top level."""
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            names.append(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names += [alias.asname or alias.name for alias in node.names]
        elif isinstance(node, ast.Assign):
            names += [target.id for target in node.targets if isinstance(target, ast.Name)]
    return names


def _imported(tree: ast.Module) -> list[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return names
