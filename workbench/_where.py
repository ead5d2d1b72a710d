"""A small language to pick rows: `name op literal` joined by and/or. No eval, no parentheses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from operator import eq, ge, gt, le, lt, ne
from typing import Any, NamedTuple

from workbench.errors import InvalidInput
from workbench.params import did_you_mean

TOKEN = re.compile(
    r"""\s*(?: (?P<quoted>"[^"]*"|'[^']*') | (?P<op><=|>=|!=|==|=|<|>) | (?P<word>[^\s"'<>=!]+) | (?P<odd>\S) )""",
    re.VERBOSE,
)
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": eq, "==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge,
    "contains": lambda value, part: part.lower() in value.lower(),
}  # fmt: skip
TRUTH = {"true": True, "yes": True, "false": False, "no": False}
EXAMPLE = "write it as in: accuracy > 0.95 and model = lenet_5"


class Token(NamedTuple):
    """A piece of text; `quoted` pieces are never operators, names or `and`."""

    text: str
    quoted: bool = False


class Comparison(NamedTuple):
    """One `name op literal`; `wanted` None asks whether the value is missing."""

    name: str
    op: str
    wanted: Any

    def holds(self, row: Mapping[str, Any]) -> bool:
        value = row[self.name]
        if self.wanted is None:
            return (value is None) == (self.op != "!=")
        return value is not None and OPERATORS[self.op](value, self.wanted)


def parse(text: str, kinds: Mapping[str, type]) -> Callable[[Mapping[str, Any]], bool]:
    """Return the predicate on rows; raises InvalidInput that lists every problem of `text`."""
    problems: list[str] = []
    either: list[list[Comparison]] = [[]]
    for joiner, tokens in _clauses(_tokens(text, problems)):
        if joiner == "or":
            either.append([])
        comparison = _comparison(tokens, kinds, problems)
        if comparison:
            either[-1].append(comparison)
    if problems:
        raise InvalidInput(problems, next_move=EXAMPLE)
    return lambda row: any(all(comparison.holds(row) for comparison in both) for both in either)


def _tokens(text: str, problems: list[str]) -> list[Token]:
    tokens = []
    for match in TOKEN.finditer(text):
        if match["odd"]:
            problems.append(f"{match['odd']!r} at position {match.start('odd') + 1} can't be read")
        elif match["quoted"]:
            tokens.append(Token(match["quoted"][1:-1], quoted=True))
        else:
            tokens.append(Token(match["op"] or match["word"]))
    return tokens


def _clauses(tokens: list[Token]) -> list[tuple[str, list[Token]]]:
    """Split at and/or; each clause comes with the word before it ("" for the first)."""
    clauses: list[tuple[str, list[Token]]] = [("", [])]
    for token in tokens:
        if not token.quoted and token.text.lower() in ("and", "or"):
            clauses.append((token.text.lower(), []))
        else:
            clauses[-1][1].append(token)
    return clauses


def _comparison(tokens: list[Token], kinds: Mapping[str, type], problems: list[str]) -> Comparison | None:
    """Return the comparison, or None with what is wrong added to `problems`."""
    said = " ".join(token.text for token in tokens)
    if len(tokens) != 3:
        problems.append(
            f"{said!r} is not NAME OPERATOR VALUE (quote a value with blanks)" if said else "a comparison is missing"
        )
        return None
    name, op = tokens[0].text, tokens[1].text.lower()
    wrong = []
    if name not in kinds:
        wrong.append(f"no column {name!r}{did_you_mean(name, kinds)}")
    if op not in OPERATORS:
        wrong.append(f"{op!r} is not an operator: use {' '.join(OPERATORS)}")
    if not wrong:
        wrong = _mismatch(name, op, tokens[2], kinds[name])
    problems += wrong
    return None if wrong else Comparison(name, op, _value(tokens[2], kinds[name]))


def _mismatch(name: str, op: str, token: Token, kind: type) -> list[str]:
    """Return why this column can't be compared so; empty when it can."""
    if _is_none(token):
        return [] if op in ("=", "==", "!=") else [f"{name} {op} none: only = and != ask for a missing value"]
    if op == "contains" and kind is not str:
        return [f"{name} is not text: `contains` can't search it"]
    if kind is bool:
        if token.text.lower() not in TRUTH:
            return [f"{name} is true or false, not {token.text!r}"]
        return [] if op in ("=", "==", "!=") else [f"{name} is true or false: compare it with = or !="]
    if kind in (int, float) and not _is_number(token.text):
        return [f"{name} is a number, {token.text!r} is not"]
    return []


def _value(token: Token, kind: type) -> Any:
    if _is_none(token):
        return None
    if kind is bool:
        return TRUTH[token.text.lower()]
    return float(token.text) if kind in (int, float) else token.text


def _is_none(token: Token) -> bool:
    return not token.quoted and token.text.lower() in ("none", "null")


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+(_\d+)*\.?\d*|\.\d+)(e[+-]?\d+)?", text, re.IGNORECASE) is not None
