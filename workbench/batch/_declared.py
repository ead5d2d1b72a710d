"""What a notebook's parameters cell declares, and whether given values fit it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidInput
from workbench.params import ParamSpec, did_you_mean, parse_value

if TYPE_CHECKING:
    from nbformat import NotebookNode

PARAMETERS_TAG = "parameters"
KINDS = {"bool": bool, "int": int, "float": (int, float), "str": str, "list": (list, tuple), "mapping": dict}
KIND_OF_ANNOTATION = {"dict": "mapping", "tuple": "list"} | {kind: kind for kind in KINDS}


def declared(source: NotebookNode) -> tuple[ParamSpec, ...]:
    """List the parameters of a notebook: each assignment in its cell tagged `parameters`.

    Read from the syntax tree: papermill's own inspection loses `x: int | None = 3` and every line with a second "=".
    """
    cell = next((cell for cell in source.cells if PARAMETERS_TAG in cell.metadata.get("tags", [])), None)
    if cell is None:
        return ()
    lines = cell.source.splitlines()
    nodes = [node for node in ast.parse(cell.source).body if isinstance(node, ast.Assign | ast.AnnAssign)]
    return tuple(_spec(node, lines[(node.end_lineno or 1) - 1]) for node in nodes if node.value is not None)


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
        elif not _fits(by_name[name], value):
            found.append(f"{name}: {value!r} is not {_in_words(by_name[name])}")
    return found


def _spec(node: ast.Assign | ast.AnnAssign, line: str) -> ParamSpec:
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    literal = _literal(node.value)
    annotated = ast.unparse(node.annotation) if isinstance(node, ast.AnnAssign) else type(literal).__name__
    pieces = [piece.strip().split("[")[0] for piece in annotated.split("|")]
    kind = next((KIND_OF_ANNOTATION[piece] for piece in pieces if piece in KIND_OF_ANNOTATION), "")
    return ParamSpec(
        name=ast.unparse(target),
        kind=kind,  # type: ignore[arg-type]  # "" = the cell doesn't say; any value is taken
        default=literal,
        help=line.encode()[node.end_col_offset :].decode().strip().removeprefix("#").strip(),
        optional="None" in pieces or literal is None,
    )


def _literal(value: ast.expr | None) -> Any:
    """Return the value of a literal; an expression has none before it runs."""
    try:
        return ast.literal_eval(value) if value is not None else None
    except ValueError:
        return None


def _fits(spec: ParamSpec, value: Any) -> bool:
    if not spec.kind or (value is None and spec.optional):
        return True
    if isinstance(value, bool) and spec.kind != "bool":
        return False
    return isinstance(value, KINDS[spec.kind])  # type: ignore[arg-type]


def _in_words(spec: ParamSpec) -> str:
    words = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "text", "list": "a list"}
    return words.get(spec.kind, spec.kind) + (" or none" if spec.optional else "")
