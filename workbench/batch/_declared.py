"""What a notebook's parameters cell declares, and whether given values fit it.

An assignment declares a name, a type and a default; the comment behind it is the help, and may hold `choices: 2, 4, 8` or
`range: 0..1`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidInput
from workbench.params import ParamSpec, did_you_mean, parse_value

if TYPE_CHECKING:
    from nbformat import NotebookNode

PARAMETERS_TAG = "parameters"
KINDS = {"bool": bool, "int": int, "float": (int, float), "str": str, "list": (list, tuple), "mapping": dict}
KIND_OF_ANNOTATION = {"dict": "mapping", "tuple": "list"} | {kind: kind for kind in KINDS}
NUMBER = r"[+-]?[\d._]+(?:[eE][+-]?\d+)?"
CHOICES = re.compile(r"\bchoices:\s*([^;#]+)")
RANGE = re.compile(rf"\brange:\s*({NUMBER}?)\.\.({NUMBER}?)(?=[\s;,#]|$)")


def declared(source: NotebookNode) -> tuple[ParamSpec, ...]:
    """List the parameters of a notebook: each assignment in its cell tagged `parameters`.

    Read from the syntax tree: papermill's own inspection loses `x: int | None = 3` and every line with a second "=".
    """
    cell = parameters_cell(source)
    if cell is None:
        return ()
    lines = cell.source.splitlines()
    return tuple(_spec(node, lines[(node.end_lineno or 1) - 1]) for node in _assignments(cell))


def parameters_cell(source: NotebookNode) -> NotebookNode | None:
    """Return the cell tagged `parameters`; None when there is none."""
    return next((cell for cell in source.cells if PARAMETERS_TAG in cell.metadata.get("tags", [])), None)


def warnings(source: NotebookNode) -> list[str]:
    """Say what of the parameters cell doesn't do what it seems to: papermill sets the given values after this cell."""
    cell = parameters_cell(source)
    nodes = _assignments(cell) if cell else []
    names = {_name(node) for node in nodes}
    found = []
    for node in nodes:
        used = sorted({each.id for each in ast.walk(node.value) if isinstance(each, ast.Name)} & names)  # type: ignore[arg-type]
        if used:
            found.append(
                f"{ast.unparse(node)}: is derived in the parameters cell, so it keeps the value that belongs to the default "
                f"of {', '.join(used)} when another one is given; move it into the next cell"
            )
    return found + [
        f"the default of {problem}" for spec in declared(source) if (problem := _complaint(spec, spec.default))
    ]


def from_text(specs: tuple[ParamSpec, ...], pairs: list[str]) -> dict[str, Any]:
    """Turn `name=value` words into typed values; unknown names keep their text, for `problems` to report."""
    malformed = [f"{pair!r} is not name=value" for pair in pairs if "=" not in pair]
    if malformed:
        raise InvalidInput(malformed)
    by_name = {spec.name: spec for spec in specs}
    named = [pair.split("=", 1) for pair in pairs]
    return {name: parse_value(by_name[name], text) if name in by_name else text for name, text in named}


def problems(specs: tuple[ParamSpec, ...], values: Mapping[str, Any]) -> list[str]:
    """Say everything that is wrong with `values`; papermill would only warn and go on with the defaults."""
    by_name = {spec.name: spec for spec in specs}
    found = []
    for name, value in values.items():
        if name not in by_name:
            known = ", ".join(by_name) or "none: it has no cell tagged `parameters`"
            found.append(f"unknown parameter {name!r}{did_you_mean(name, by_name) or f' (there are: {known})'}")
        elif complaint := _complaint(by_name[name], value):
            found.append(complaint)
    return found


def _assignments(cell: NotebookNode) -> list[ast.Assign | ast.AnnAssign]:
    nodes = [node for node in ast.parse(cell.source).body if isinstance(node, ast.Assign | ast.AnnAssign)]
    return [node for node in nodes if node.value is not None]


def _name(node: ast.Assign | ast.AnnAssign) -> str:
    return ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)


def _spec(node: ast.Assign | ast.AnnAssign, line: str) -> ParamSpec:
    literal = _literal(node.value)
    annotated = ast.unparse(node.annotation) if isinstance(node, ast.AnnAssign) else type(literal).__name__
    pieces = [piece.strip().split("[")[0] for piece in annotated.split("|")]
    kind = next((KIND_OF_ANNOTATION[piece] for piece in pieces if piece in KIND_OF_ANNOTATION), "")
    comment = line.encode()[node.end_col_offset :].decode().strip().removeprefix("#").strip()
    spec = ParamSpec(
        name=_name(node),
        kind=kind,  # type: ignore[arg-type]  # "" = the cell doesn't say; any value is taken
        default=literal,
        help=RANGE.sub("", CHOICES.sub("", comment)).strip(" ;,"),
        optional="None" in pieces or literal is None,
    )
    return _bounded(spec, comment)


def _bounded(spec: ParamSpec, comment: str) -> ParamSpec:
    """Add the choices and the range that a comment tells."""
    if found := CHOICES.search(comment):
        words = [word.strip().strip("'\"") for word in found[1].split(",")]
        spec = replace(spec, choices=tuple(parse_value(spec, word) for word in words if word))
    if found := RANGE.search(comment):
        low, high = (float(end) if end else None for end in found.groups())
        spec = replace(spec, ge=low, le=high)
    return spec


def _literal(value: ast.expr | None) -> Any:
    """Return the value of a literal; an expression has none before it runs."""
    try:
        return ast.literal_eval(value) if value is not None else None
    except ValueError:
        return None


def _complaint(spec: ParamSpec, value: Any) -> str:
    """Return what is wrong with a value; empty when it fits."""
    if not _fits(spec, value):
        return f"{spec.name}: {value!r} is not {_in_words(spec)}"
    if value is None:
        return ""
    if spec.choices and value not in spec.choices:
        known = ", ".join(map(str, spec.choices))
        return f"{spec.name}: {value!r} is not one of {known}{did_you_mean(str(value), map(str, spec.choices))}"
    if not spec.bounds or not isinstance(value, int | float):
        return ""
    low, high = (end if end is not None else value for end in (spec.ge, spec.le))
    return "" if low <= value <= high else f"{spec.name}: {value!r} is outside {spec.bounds}"


def _fits(spec: ParamSpec, value: Any) -> bool:
    if not spec.kind or (value is None and spec.optional):
        return True
    if isinstance(value, bool) and spec.kind != "bool":
        return False
    return isinstance(value, KINDS[spec.kind])  # type: ignore[arg-type]


def _in_words(spec: ParamSpec) -> str:
    words = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "text", "list": "a list"}
    return words.get(spec.kind, spec.kind) + (" or none" if spec.optional else "")
