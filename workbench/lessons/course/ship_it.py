"""Lesson 10: ship it. A batch that runs unattended, a file that shows when it was changed, a decision that can be taken back."""

from __future__ import annotations

import hashlib
import math
from typing import Any

from workbench.errors import InvalidInput
from workbench.lessons.exercise import Exercise, Finding, Lesson, Paper, Question
from workbench.params import ParamSpec

# What the notebook that the batch executes declares, and which bits it can store as ONNX.
DECLARED = (
    ParamSpec("store_folder", "str", "runs", ""),
    ParamSpec("epochs", "int", 12, ""),
    ParamSpec("sparsity", "float", 0.0, "", ge=0.0, lt=1.0),
    ParamSpec("bits", "int", 8, ""),
    ParamSpec("seed", "int", 0, ""),
)
BITS = (2, 4, 8)
FEWEST, MOST = 12, 40  # rows of the batch


def _check_grid(answer: Any) -> Finding:
    """Judge a grid by the rows that the batch would make of it."""
    import yaml

    from workbench.batch.grid import read_grid

    try:
        record = yaml.safe_load(answer) if isinstance(answer, str) else None
    except yaml.YAMLError:
        record = None
    if not isinstance(record, dict):
        return Finding("try_again", "not_a_grid", {"given": " ".join(str(answer).split())[:60]})
    try:
        points = read_grid(DECLARED, record).points
    except InvalidInput as error:
        return Finding("try_again", "refused", {"why": str(error)})
    num_wrong = sum(point.get("bits", 8) not in BITS for point in points)
    num_good = len(points) - num_wrong
    values = {"num_rows": len(points), "num_good": num_good, "num_wrong": num_wrong, "fewest": FEWEST, "most": MOST}
    rows = (
        ("rows", str(len(points)), len(points) <= MOST),
        ("bits 2, 4, 8", str(num_good), num_good >= FEWEST),
        ("other bits", str(num_wrong), num_wrong > 0),
    )
    name = _wrong_with(record, num_good, num_wrong)
    return Finding("try_again" if name else "ok", name, values, rows)


def _wrong_with(record: dict[str, Any], num_good: int, num_wrong: int) -> str:
    """Return the misconception of a grid that can be read; empty when it is right."""
    if num_good + num_wrong > MOST:
        return "too_many"
    if num_good < FEWEST:
        return "zipped" if "zip" in record else "all_fail" if not num_good else "too_few"
    return "" if num_wrong else "none_fails"


GRID = Exercise(
    id="10.1",
    answer="grid",
    starter="grid = ...  # YAML, as text between triple quotes\n",
    solution='''grid = """
axes:
  sparsity: [0.0, 0.3, 0.5, 0.8]
  bits: [2, 4, 8]
include:
  - {bits: 16}
"""
''',
    wrong={
        "zipped": 'grid = """\nzip:\n  sparsity: [0.0, 0.5, 0.8]\n  bits: [2, 4, 8]\ninclude: [{bits: 16}]\n"""\n',
        "too_few": 'grid = """\naxes:\n  bits: [2, 4, 8]\ninclude: [{bits: 16}]\n"""\n',
        "none_fails": 'grid = """\naxes:\n  sparsity: [0.0, 0.3, 0.5, 0.8]\n  bits: [2, 4, 8]\n"""\n',
        "all_fail": 'grid = """\naxes:\n  sparsity: [0.0, 0.2, 0.4, 0.6]\n  bits: [5, 6, 16]\n"""\n',
        "too_many": 'grid = """\naxes:\n  sparsity: [0.0, 0.5]\n  bits: [2, 4, 8, 16]\nseeds: 0..9\n"""\n',
        "refused": 'grid = """\naxes:\n  sparsities: [0.0, 0.5, 0.8]\n  bits: [2, 4, 8, 16]\n"""\n',
        "not_a_grid": 'grid = "sparsity 0.0, 0.5 and bits 2, 4"\n',
    },
    check=_check_grid,
    minutes=8,
)


def _signed(**files: bytes) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


FILES = {"model": bytes(range(256)) * 8, "card": b"{}", "load": b"print(1)"}
FLIPPED = FILES["model"][:-20] + b"\x00" + FILES["model"][-19:]


def _without(name: str) -> dict[str, bytes]:
    return {key: content for key, content in FILES.items() if key != name}


def _changed(lines: str) -> str:
    return "import hashlib\n\n\ndef changed(files, signed):\n" + "".join(f"    {line}\n" for line in lines.splitlines())


CHANGED = Exercise(
    id="10.2",
    answer="changed",
    starter='''import hashlib


def changed(files, signed):
    """Return the names, sorted, of all files (name → bytes) that aren't what was signed (name → sha256)."""
    found = []
    for name in signed:
        if name in files and hashlib.sha256(files[name]).hexdigest() != signed[name]:
            found.append(name)
    return sorted(found)
''',
    solution='''import hashlib


def changed(files, signed):
    """Return the names, sorted, of all files (name → bytes) that aren't what was signed (name → sha256)."""
    found = []
    for name in files.keys() | signed.keys():
        digest = hashlib.sha256(files[name]).hexdigest() if name in files else None
        if digest != signed.get(name):
            found.append(name)
    return sorted(found)
''',
    wrong={
        "added_unseen": _changed(
            "return sorted(n for n in signed if n not in files or hashlib.sha256(files[n]).hexdigest() != signed[n])"
        ),
        "missing_unseen": _changed(
            "return sorted(n for n in files if hashlib.sha256(files[n]).hexdigest() != signed.get(n))"
        ),
        "names_only": _changed("return sorted(files.keys() ^ signed.keys())"),
        "first_only": _changed(
            "for name in sorted(files.keys() | signed.keys()):\n"
            "    if name not in files or hashlib.sha256(files[name]).hexdigest() != signed.get(name):\n"
            "        return [name]\n"
            "return []"
        ),
        "says_whether": _changed(
            "return files.keys() != signed.keys() or any(\n"
            "    hashlib.sha256(files[name]).hexdigest() != signed[name] for name in files)"
        ),
        "other_hash": _changed(
            "return sorted(n for n in files.keys() | signed.keys()\n"
            "    if n not in files or hashlib.md5(files[n]).hexdigest() != signed.get(n))"
        ),
    },
    cases={
        "as signed": lambda: (dict(FILES), _signed(**FILES)),
        "one byte of model": lambda: (FILES | {"model": FLIPPED}, _signed(**FILES)),
        "card is gone": lambda: (_without("card"), _signed(**FILES)),
        "hook was added": lambda: (FILES | {"hook": b"import os"}, _signed(**FILES)),
        "all three": lambda: (_without("card") | {"model": FLIPPED, "hook": b""}, _signed(**FILES)),
    },
    minutes=7,
    is_bug=True,
)


def _chance(expression: str) -> str:
    return f"import math\n\n\ndef chance(num_right, num_bits):\n    return {expression}\n"


def _near(given: Any, right: float) -> bool:
    """Compare probabilities by their ratio, since the interesting ones are tiny."""
    return isinstance(given, int | float) and not isinstance(given, bool) and math.isclose(given, right, rel_tol=1e-6)


CHANCE = Exercise(
    id="10.3",
    answer="chance",
    starter='''import math


def chance(num_right, num_bits):
    """Return how probable it is that guessing gets at least `num_right` of `num_bits` bits right."""
    ...
''',
    solution='''import math


def chance(num_right, num_bits):
    """Return how probable it is that guessing gets at least `num_right` of `num_bits` bits right."""
    ways = sum(math.comb(num_bits, count) for count in range(num_right, num_bits + 1))
    return ways / 2**num_bits
''',
    wrong={
        "exactly": _chance("math.comb(num_bits, num_right) / 2**num_bits"),
        "more_than": _chance("sum(math.comb(num_bits, k) for k in range(num_right + 1, num_bits + 1)) / 2**num_bits"),
        "last_left_out": _chance("sum(math.comb(num_bits, k) for k in range(num_right, num_bits)) / 2**num_bits"),
        "share": _chance("num_right / num_bits"),
        "those_only": _chance("0.5**num_right"),
        "at_most": _chance("sum(math.comb(num_bits, k) for k in range(num_right + 1)) / 2**num_bits"),
    },
    cases={
        "3 of 4": lambda: (3, 4),
        "32 of 64": lambda: (32, 64),
        "24 of 24": lambda: (24, 24),
        "60 of 64": lambda: (60, 64),
    },
    same=_near,
    minutes=6,
)


def _roll_back(expression: str) -> str:
    return f"""from workbench.compare import wilson


def roll_back(num_right, num_asked, promised):
    low, high = wilson(num_right, num_asked)
    return {expression}
"""


ROLL_BACK = Exercise(
    id="10.4",
    answer="roll_back",
    starter='''from workbench.compare import wilson


def roll_back(num_right, num_asked, promised):
    """Return True when the accuracy in use is shown to be below the promised share; wilson(k, n) gives its interval."""
    ...
''',
    solution='''from workbench.compare import wilson


def roll_back(num_right, num_asked, promised):
    """Return True when the accuracy in use is shown to be below the promised share; wilson(k, n) gives its interval."""
    low, high = wilson(num_right, num_asked)
    return high < promised
''',
    wrong={
        "by_noise": _roll_back("num_right / num_asked < promised"),
        "any_doubt": _roll_back("low < promised"),
        "inverted": _roll_back("low > promised"),
        "middle": _roll_back("(low + high) / 2 < promised"),
        "of_errors": _roll_back("wilson(num_asked - num_right, num_asked)[1] < promised"),
    },
    cases={
        "93 of 100, promised 0.95": lambda: (93, 100, 0.95),
        "97 of 100, promised 0.95": lambda: (97, 100, 0.95),
        "88 of 100, promised 0.95": lambda: (88, 100, 0.95),
        "930 of 1,000, promised 0.95": lambda: (930, 1000, 0.95),
        "950 of 1,000, promised 0.95": lambda: (950, 1000, 0.95),
        "1,000 of 1,000, promised 0.95": lambda: (1000, 1000, 0.95),
    },
    minutes=6,
)

LESSON = Lesson(
    number="10",
    name="ship_it",
    minutes=60,
    run_seconds=120,
    exercises=(GRID, CHANGED, CHANCE, ROLL_BACK),
    questions=(
        Question("10.p1", "choice", "failed", choices=("none", "failed", "all")),
        Question("10.p2", "choice", "nearly_all", choices=("chance", "most", "nearly_all"), limits=(42, 58)),
        Question(
            "10.d1",
            "decision",
            {"take": "recommended", "proof": "signature", "rollback": "interval"},
            fields={
                "take": ("recommended", "smallest", "as_trained"),
                "proof": ("signature", "mark", "both", "neither"),
                "rollback": ("interval", "estimate", "complaint"),
            },
        ),
    ),
    papers=(Paper("10.r1", "Uchida et al., arXiv 1701.04082, abstract", low=64, high=64, unit="bits of 64"),),
    fast={"epochs": 4, "only": ["sparsity=0.0", "bits=4,16"]},
)
