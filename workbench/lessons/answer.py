"""An answer as text that another process can run: the cell's function or value, with what it takes from its notebook."""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from typing import Any

from workbench.errors import InvalidInput
from workbench.lessons.exercise import Exercise


def text_of(exercise: Exercise, given: Any) -> str:
    """Return source text that defines `exercise.answer` as `given`.

    A function brings the functions, modules and plain values that it names along. Raises InvalidInput for what has no text.
    """
    if not isinstance(given, types.FunctionType):
        if _is_plain(given):
            return f"{exercise.answer} = {_literal(given)}"
        raise InvalidInput(
            [f"{exercise.id} takes a function or a plain value, given {type(given).__name__}"],
            next_move=f"pass `{exercise.answer}`, as its cell defines it",
        )
    pieces = _with_its_names(given, seen=set())
    if given.__name__ != exercise.answer:
        pieces.append(f"{exercise.answer} = {given.__name__}")
    return "\n".join(pieces)


def is_untouched(exercise: Exercise, text: str) -> bool:
    """Say whether the answer is still the starter: comments and layout don't count; a body that is only `...` neither."""
    if not exercise.is_bug and _is_open(text, exercise.answer):
        return True
    return _tree(text) == _tree(exercise.starter)


def _with_its_names(function: types.FunctionType, seen: set[str]) -> list[str]:
    """Return the text of a function, after that of what it names in its notebook."""
    seen.add(function.__name__)
    pieces = []
    for name in _names_in(function.__code__):
        if name in seen or name not in function.__globals__:
            continue
        seen.add(name)
        value = function.__globals__[name]
        if isinstance(value, types.ModuleType):
            pieces.append(f"import {value.__name__} as {name}")
        elif isinstance(value, types.FunctionType) and value.__module__ == function.__module__:
            pieces += _with_its_names(value, seen)
        elif hasattr(value, "__module__") and hasattr(value, "__qualname__"):
            pieces.append(f"from {value.__module__} import {value.__qualname__} as {name}")
        elif _is_plain(value):
            pieces.append(f"{name} = {_literal(value)}")
    try:
        return [*pieces, textwrap.dedent(inspect.getsource(function))]
    except (OSError, TypeError):
        raise InvalidInput(
            [f"the text of {function.__name__} can't be found"], next_move="define it in a cell of its own with `def`"
        ) from None


def _names_in(code: types.CodeType) -> list[str]:
    """Return every global name that a function may read, those of functions inside it too."""
    inner = [name for each in code.co_consts if isinstance(each, types.CodeType) for name in _names_in(each)]
    return [*code.co_names, *inner]


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str | int) and _is_plain(each) for key, each in value.items())
    if isinstance(value, list | tuple | set):
        return all(map(_is_plain, value))
    return value is None or value is ... or isinstance(value, bool | int | float | str)


def _literal(value: Any) -> str:
    """Return text that gives the value again; numbers that have no literal through `float`."""
    if isinstance(value, float) and value != value or value in (float("inf"), float("-inf")):
        return f'float("{value}")'
    return "..." if value is ... else repr(value)


def _is_open(text: str, answer: str) -> bool:
    """Say whether the answer is `...`, or a function that does nothing, or raises NotImplementedError."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == answer:
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            return all(_does_nothing(statement) for statement in body)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == answer:
            return ast.unparse(node.value) in ("...", "None", "NotImplemented")
    return False


def _does_nothing(statement: ast.stmt) -> bool:
    return ast.unparse(statement) in ("...", "pass", "return", "return None", "return ...") or (
        isinstance(statement, ast.Raise) and "NotImplementedError" in ast.unparse(statement)
    )


def _tree(text: str) -> str:
    """Return the definitions of a text in a form that layout and comments don't change, imports left out."""
    kept = [node for node in ast.parse(text).body if not isinstance(node, ast.Import | ast.ImportFrom)]
    return "\n".join(ast.unparse(node) for node in kept)
