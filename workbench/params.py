"""Parameters, declared once: type, default, bounds, unit and help in one line of a class.

The same line is the validation, the form in a notebook, the command-line option, the row in a batch grid, the entry in
the run record, and the line in README's table.
"""

from __future__ import annotations

import difflib
import functools
import math
import types
import typing
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from workbench.errors import InvalidInput

Bound = float | int | None

PartRef = dict[str, Any] | str
"""Another part inside a parameter: `{"use": "resnet", "depth": 18}`, or `"run:RUN_ID"`."""


def param(
    default: Any,
    *,
    help: str,
    unit: str = "",
    ge: Bound = None,
    gt: Bound = None,
    le: Bound = None,
    lt: Bound = None,
    part: str = "",
) -> Any:
    """Declare one parameter. `...` as default means required; `part` names the family of a nested part."""
    extra: dict[str, Any] = {"unit": unit, "part": part}
    return Field(default, description=help, ge=ge, gt=gt, le=le, lt=lt, json_schema_extra=extra)


P = TypeVar("P", bound="Params")


class Params(BaseModel):
    """A frozen bag of declared parameters; unknown names and NaN are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)

    renamed: ClassVar[dict[str, str]] = {}  # old name -> new name, so that old records stay readable


@dataclass(frozen=True)
class ParamSpec:
    """One declared parameter as plain data: what a form, a command line or a table needs to know."""

    name: str
    kind: Literal["bool", "int", "float", "str", "choice", "list", "part", "mapping"]
    default: Any  # None also when required: look at `required`
    help: str
    unit: str = ""
    choices: tuple[Any, ...] = ()
    ge: Bound = None
    gt: Bound = None
    le: Bound = None
    lt: Bound = None
    part: str = ""  # family of a nested part, else ""
    optional: bool = False  # None is a legal value
    required: bool = False

    @property
    def bounds(self) -> str:
        """The legal range in words, as in `0 ≤ sparsity < 1`; empty when unbounded."""
        low = f"{self.ge:g} ≤ " if self.ge is not None else f"{self.gt:g} < " if self.gt is not None else ""
        high = f" ≤ {self.le:g}" if self.le is not None else f" < {self.lt:g}" if self.lt is not None else ""
        return f"{low}{self.name}{high}" if low or high else ""


@functools.cache
def describe(owner: type[Params]) -> tuple[ParamSpec, ...]:
    """List the parameters of `owner` in declaration order."""
    hints = typing.get_type_hints(owner, include_extras=False)
    return tuple(_spec(name, field, hints[name]) for name, field in owner.model_fields.items())


def build(owner: type[P], values: dict[str, Any], *, where: str = "") -> P:
    """Validate `values` and make an `owner`; raises InvalidInput that lists all problems with suggestions."""
    current = {owner.renamed.get(name, name): value for name, value in values.items()}
    try:
        return owner.model_validate(current)
    except ValidationError as error:
        problems = [_in_words(owner, problem, where) for problem in error.errors()]
        raise InvalidInput(problems) from None


def did_you_mean(word: str, known: typing.Iterable[str]) -> str:
    """Return `, did you mean 'x'?` for the nearest known word, else an empty string."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f", did you mean {near[0]!r}?" if near else ""


def parse_value(spec: ParamSpec, text: str) -> Any:
    """Turn command-line text into a value of the declared kind; legality is left to `build`."""
    if spec.optional and text.lower() in ("none", "null"):
        return None
    if spec.kind == "bool" and text.lower() in ("true", "yes", "on", "1", "false", "no", "off", "0"):
        return text.lower() in ("true", "yes", "on", "1")
    if spec.kind == "list":
        return [item for item in text.split(",") if item]
    if spec.kind in ("int", "float"):
        try:
            number = float(text)
        except ValueError:
            return text
        whole = spec.kind == "int" and math.isfinite(number) and number == int(number)
        return int(number) if whole else number
    if spec.kind == "choice":
        return next((choice for choice in spec.choices if str(choice) == text), text)
    return text


def _spec(name: str, field: FieldInfo, hint: Any) -> ParamSpec:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    inner, optional = _without_none(hint)
    bounds = {
        key: getattr(mark, key) for mark in field.metadata for key in ("ge", "gt", "le", "lt") if hasattr(mark, key)
    }
    part = str(extra.get("part", ""))
    return ParamSpec(
        name=name,
        kind="part" if part else _kind(inner),
        default=None if field.is_required() else field.get_default(call_default_factory=True),
        help=field.description or "",
        unit=str(extra.get("unit", "")),
        choices=typing.get_args(inner) if typing.get_origin(inner) is Literal else (),
        part=part,
        optional=optional,
        required=field.is_required(),
        **bounds,
    )


def _without_none(hint: Any) -> tuple[Any, bool]:
    """Split `X | None` into (X, True); a union of several types stays whole."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint, False
    members = [member for member in typing.get_args(hint) if member is not type(None)]
    optional = len(members) < len(typing.get_args(hint))
    return (members[0] if len(members) == 1 else hint), optional


def _kind(hint: Any) -> Any:
    if typing.get_origin(hint) is Literal:
        return "choice"
    if typing.get_origin(hint) in (list, tuple):
        return "list"
    if typing.get_origin(hint) is dict:
        return "mapping"
    return {bool: "bool", int: "int", float: "float"}.get(hint, "str")


def _in_words(owner: type[Params], problem: Any, where: str) -> str:
    name = ".".join(str(piece) for piece in problem["loc"]) or owner.__name__
    place = f"{where}.{name}" if where else name
    given = problem.get("input")
    if problem["type"] == "extra_forbidden":
        return f"unknown parameter {place!r}{did_you_mean(name, owner.model_fields)}"
    if problem["type"] == "missing":
        return f"{place}: a value is required ({owner.model_fields[name].description})"
    spec = (
        next((spec for spec in describe(owner) if spec.name == str(problem["loc"][0])), None)
        if problem["loc"]
        else None
    )
    if spec and spec.bounds and problem["type"].startswith(("greater", "less")):
        return f"{place}: {given!r} is outside {spec.bounds}"
    if spec and spec.choices:
        options = ", ".join(str(choice) for choice in spec.choices)
        return f"{place}: {given!r} is not one of {options}{did_you_mean(str(given), map(str, spec.choices))}"
    return f"{place}: {problem['msg'].removeprefix('Value error, ')} (given {given!r})"
