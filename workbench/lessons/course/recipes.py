"""Lesson 05: recipes of several steps. Their order, the front, a choice under budgets, and who pays for it."""

from __future__ import annotations

from typing import Any

from workbench.lessons.course._choosing import CHOICE, MAX_DROP, MAX_MS, STORED, measured
from workbench.lessons.exercise import Exercise, Lesson, Paper, Question

__all__ = ["CANDIDATES", "LESSON", "MAX_DROP", "MAX_MS", "measured"]  # the notebook shows all but the lesson

CANDIDATES = {  # of the question which of them is on the front: model, recipe
    "a": ("LeNet-300-100", "half the channels, 4 bits"),
    "b": ("CNN", "distilled, int8"),
    "c": ("CNN", "as trained"),
    "d": ("LeNet-300-100", "2 bits by GPTQ"),
    "e": ("CNN", "int8"),
    "f": ("LeNet-300-100", "¾ of the channels, int8"),
}


FRONT_HEAD = "def on_front(points):\n"


def _front(lines: str) -> str:
    return FRONT_HEAD + "".join(f"    {line}\n" for line in lines.splitlines())


FRONT_DOC = '    """Say for each (bytes, accuracy) whether no other point beats it; None = not measured."""\n'
FRONT = Exercise(
    id="05.1",
    answer="on_front",
    starter=f"{FRONT_HEAD}{FRONT_DOC}    ...\n",
    solution=f"{FRONT_HEAD}{FRONT_DOC}"
    "    known = [point for point in points if None not in point]\n\n"
    "    def is_beaten(bytes_, accuracy):\n"
    "        better = [(b, a) for b, a in known if b <= bytes_ and a >= accuracy and (b, a) != (bytes_, accuracy)]\n"
    "        return bool(better)\n\n"
    "    return [None not in point and not is_beaten(*point) for point in points]\n",
    wrong={
        "equals_beat": _front(
            "known = [(i, p) for i, p in enumerate(points) if None not in p]\n"
            "return [\n"
            "    None not in p and not any(i != j and q[0] <= p[0] and q[1] >= p[1] for j, q in known)\n"
            "    for i, p in enumerate(points)\n"
            "]"
        ),
        "better_in_both": _front(
            "known = [p for p in points if None not in p]\n"
            "return [None not in p and not any(q[0] < p[0] and q[1] > p[1] for q in known) for p in points]"
        ),
        "less_accurate": _front(
            "known = [p for p in points if None not in p]\n"
            "return [None not in p and not any(q[0] <= p[0] and q[1] <= p[1] and q != p for q in known) for p in points]"
        ),
        "unmeasured_is_zero": _front(
            "filled = [(b or 0, a or 0) for b, a in points]\n"
            "return [not any(q[0] <= p[0] and q[1] >= p[1] and q != p for q in filled) for p in filled]"
        ),
        "two_ends": _front(
            "known = [p for p in points if None not in p]\n"
            "least, most = min(b for b, _ in known), max(a for _, a in known)\n"
            "return [None not in p and (p[0] == least or p[1] == most) for p in points]"
        ),
        "only_the_one_before": _front(
            "return [\n"
            "    None not in p and (i == 0 or None in points[i - 1] or p[1] > points[i - 1][1] or p[0] < points[i - 1][0])\n"
            "    for i, p in enumerate(points)\n"
            "]"
        ),
    },
    cases={
        "five points": lambda: ([(100, 0.90), (200, 0.95), (300, 0.94), (400, 0.97), (450, 0.96)],),
        "two equal points": lambda: ([(100, 0.90), (200, 0.95), (200, 0.95)],),
        "equal bytes": lambda: ([(100, 0.90), (100, 0.93), (250, 0.93)],),
        "one not measured": lambda: ([(None, 0.99), (100, 0.90), (200, None)],),
        "one point": lambda: ([(100, 0.5)],),
    },
    minutes=8,
)

CHOOSE_HEAD = "def recommended(runs, max_drop):\n"
CHOOSE_DOC = '    """Return the smallest run that loses at most `max_drop` points, and the accuracy to promise."""\n'


def _choose(lines: str) -> str:
    return CHOOSE_HEAD + "".join(f"    {line}\n" for line in lines.splitlines())


SMALLEST = 'best = min(fitting, key=lambda run: run["bytes"])\n'
ON_VALIDATION = 'fitting = [run for run in runs if run["parent_validation"] - run["validation"] <= max_drop]\n'
ON_TEST = 'fitting = [run for run in runs if run["parent_test"] - run["test"] <= max_drop]\n'


def _candidates(*rows: tuple[str, int, float, float]) -> list[dict[str, Any]]:
    """Return runs of (name, bytes, validation, test), all of a parent that has 97 on both."""
    return [
        {"name": name, "bytes": size, "validation": seen, "test": unseen, "parent_validation": 97.0, "parent_test": 97.0}
        for name, size, seen, unseen in rows
    ]  # fmt: skip


CHOSEN_ON_TEST = Exercise(
    id="05.2",
    answer="recommended",
    starter=f"{CHOOSE_HEAD}{CHOOSE_DOC}    {ON_TEST}    {SMALLEST}"
    '    return best["name"], best["test"]\n',
    solution=f"{CHOOSE_HEAD}{CHOOSE_DOC}    {ON_VALIDATION}    {SMALLEST}"
    '    return best["name"], best["test"]\n',
    wrong={
        "promises_validation": _choose(f'{ON_VALIDATION}{SMALLEST}return best["name"], best["validation"]'),
        "still_by_test": _choose(f'{ON_TEST}{SMALLEST}return best["name"], best["validation"]'),
        "both_must_fit": _choose(
            "fitting = [\n"
            "    run\n"
            "    for run in runs\n"
            '    if max(run["parent_validation"] - run["validation"], run["parent_test"] - run["test"]) <= max_drop\n'
            "]\n"
            f'{SMALLEST}return best["name"], best["test"]'
        ),
        "most_accurate": _choose(
            f'{ON_VALIDATION}best = max(fitting, key=lambda run: run["validation"])\nreturn best["name"], best["test"]'
        ),
        "gains_refused": _choose(
            'fitting = [run for run in runs if abs(run["parent_validation"] - run["validation"]) <= max_drop]\n'
            f'{SMALLEST}return best["name"], best["test"]'
        ),
    },
    cases={
        "lucky on test": lambda: (_candidates(("p", 50, 93.0, 96.5), ("q", 60, 96.5, 95.0), ("r", 90, 97.0, 96.0)), 1.0),
        "unlucky on test": lambda: (_candidates(("p", 50, 96.5, 95.5), ("q", 60, 96.2, 96.4), ("r", 90, 96.8, 97.0)), 1.0),
        "one gained": lambda: (_candidates(("p", 40, 98.5, 97.2), ("q", 70, 96.9, 97.1), ("r", 90, 98.9, 98.0)), 1.0),
    },
    minutes=6,
    is_bug=True,
)  # fmt: skip

HARM_HEAD = "def most_harmed(targets, before, after):\n"
HARM_DOC = '    """Return the class whose share of right answers fell most, and its change in points."""\n'


def _harm(lines: str) -> str:
    return HARM_HEAD + "".join(f"    {line}\n" for line in lines.splitlines())


def _by_class(change: str, *, groups: str = "targets", rank: str = "changes[label]") -> str:
    """Return an answer that differs from the right one in one place."""
    return _harm(
        "changes, sizes = {}, {}\n"
        f"for label in sorted(set({groups})):\n"
        f"    mine = [i for i, each in enumerate({groups}) if each == label]\n"
        "    sizes[label] = len(mine)\n"
        f"    changes[label] = {change}\n"
        f"worst = min(changes, key=lambda label: {rank})\n"
        "return worst, changes[worst]"
    )


RIGHT = "sum((after[i] == targets[i]) - (before[i] == targets[i]) for i in mine)"
HARM = Exercise(
    id="05.4",
    answer="most_harmed",
    starter=f"{HARM_HEAD}{HARM_DOC}    ...\n",
    solution=f"{HARM_HEAD}{HARM_DOC}"
    "    changes = {}\n"
    "    for label in sorted(set(targets)):\n"
    "        mine = [i for i, target in enumerate(targets) if target == label]\n"
    "        right_before = sum(before[i] == label for i in mine)\n"
    "        right_after = sum(after[i] == label for i in mine)\n"
    "        changes[label] = 100 * (right_after - right_before) / len(mine)\n"
    "    worst = min(changes, key=changes.get)\n"
    "    return worst, changes[worst]\n",
    wrong={
        "counts": _by_class(f"100 * {RIGHT} / len(mine)", rank="changes[label] * sizes[label]"),
        "only_broken": _by_class("-100 * sum(before[i] == targets[i] != after[i] for i in mine) / len(mine)"),
        "every_flip": _by_class("-100 * sum(before[i] != after[i] for i in mine) / len(mine)"),
        "of_all": _by_class(f"100 * {RIGHT} / len(targets)"),
        "by_answer": _by_class(f"100 * {RIGHT} / len(mine)", groups="before"),
        "most_helped": _by_class(f"100 * {RIGHT} / len(mine)", rank="-changes[label]"),
        "a_share": _by_class(f"{RIGHT} / len(mine)"),
    },
    cases={
        "classes of equal size": lambda: (
            [0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1, 1, 0], [0, 0, 1, 0, 0, 0, 1, 1],
        ),
        "a rare class": lambda: (
            [0, 0, 0, 0, 0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 0, 0, 0, 0, 1, 1], [1, 1, 0, 0, 0, 0, 0, 0, 1, 0],
        ),
        "broken and repaired": lambda: (
            [0, 0, 0, 0, 0, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1, 1, 1, 1, 0], [1, 1, 0, 0, 0, 1, 1, 1, 0, 0],
        ),
        "wrong in another way": lambda: (
            [0, 0, 0, 0, 2, 2, 2, 2], [1, 1, 1, 0, 2, 2, 2, 2], [2, 2, 2, 0, 2, 2, 2, 0],
        ),
    },
    minutes=8,
)  # fmt: skip

LESSON = Lesson(
    number="05",
    name="recipes",
    minutes=45,
    run_seconds=60,
    exercises=(FRONT, CHOSEN_ON_TEST, CHOICE, HARM),
    questions=(
        Question("05.p1", "choice", "much", choices=("less", "few", "much"), limits=(1.0, 5.0)),
        Question("05.p2", "choice", "b", choices=tuple(CANDIDATES)),
        Question(
            "05.d1",
            "decision",
            {"binding": "examples", "next": "more_data"},
            fields={"binding": ("size", "latency", "drop", "examples"), "next": ("more_data", "more_recipes", "ship")},
        ),
    ),
    papers=(Paper("05.r1", "Han et al., arXiv 1510.00149, figure 6", low=-1.5, high=1.5, unit="points"),),
    stored=STORED,
)
