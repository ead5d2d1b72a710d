"""The nouns of a lesson: what is asked, which answers are right, which wrong ones are known, what a check found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from workbench.lessons import _same

Verdict = Literal["ok", "try_again", "not_attempted"]
MakeArguments = Callable[[], tuple[Any, ...]]
"""Makes the arguments of one call anew, so that an answer that changes them in place harms no other call."""


@dataclass(frozen=True)
class Finding:
    """What a check found; plain values, so that it crosses processes. The words are in `texts/`, under the exercise."""

    verdict: Verdict
    misconception: str = ""  # key of its words; "" = none that is known
    values: Mapping[str, Any] = field(default_factory=dict)  # what the words name with $
    rows: tuple[tuple[str, str, bool], ...] = ()  # the picture: (case, what came out, was it right)
    bars: tuple[tuple[str, float, str], ...] = ()  # the picture: (name, number ≥ 0, number in words)
    grids: tuple[tuple[str, tuple[tuple[float, ...], ...]], ...] = ()  # the picture: (name, rows of numbers)
    traceback: str = ""
    cpu_seconds: float = 0.0  # that judging took

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Exercise:
    """One thing to write: the cell's text defines `answer`, a function or a value.

    Right is what gives the same as `solution` on every case. A known wrong answer is source text, too: an answer that gives
    the same as it on every case has its misconception. `check` replaces both where giving the same isn't the point.
    """

    id: str  # lesson and number: "01.2"
    answer: str  # the name that the cell defines
    starter: str
    solution: str
    wrong: Mapping[str, str]  # misconception → source text of an answer that has it; at least three
    cases: Mapping[str, MakeArguments] = field(
        default_factory=dict
    )  # label → arguments; none where the answer is a value
    same: Callable[[Any, Any], bool] = _same.same  # (given, right); may be lenient
    check: Callable[[Any], Finding] | None = None  # None = compare with the solution
    grids: Callable[[Any], Any] | None = None  # makes `Finding.grids` of the answer; None = no such picture
    minutes: int = 6
    is_bonus: bool = False
    is_bug: bool = False  # the starter runs, and is wrong: repair it

    @property
    def lesson(self) -> str:
        return self.id.partition(".")[0]


@dataclass(frozen=True)
class Question:
    """A prediction that is locked and later held against what was measured, or a decision that nobody marks."""

    id: str  # "01.p1", decisions "01.d1"
    kind: Literal["number", "choice", "decision"]
    solution: Any  # what stands in the solution notebook: a number, the key of a choice, or {field: key of a choice}
    unit: str = ""
    choices: tuple[str, ...] = ()  # keys, worded in texts; for a number none
    limits: tuple[
        float, ...
    ] = ()  # what is measured lies in the first choice up to limits[0], and so on; () = it is a key
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of a decision: field → keys

    def choice_of(self, measured: Any) -> str:
        """Return the choice that a measured number, or key, stands for."""
        if not self.limits:
            return str(measured)
        return self.choices[sum(measured > limit for limit in self.limits)]


@dataclass(frozen=True)
class Paper:
    """A reproduction card: what a paper says, what this lesson measures, and how far apart they may lie.

    The paper's row, and what differs here (data, model, scale), stand in the texts.
    """

    id: str  # "02.r1"
    source: str  # paper, table, row
    low: float  # our figure is inside [low, high], or the claim isn't reproduced
    high: float
    unit: str


@dataclass(frozen=True)
class Lesson:
    """One notebook's worth; `name` is that of its file, texts and notebook."""

    number: str  # "01"
    name: str
    minutes: int  # in a class, discussion included
    run_seconds: float  # budget of its solution on two cores
    exercises: tuple[Exercise, ...]
    questions: tuple[Question, ...] = ()
    papers: tuple[Paper, ...] = ()
    stored: str = ""  # the stored study that it reads; "" = none
    fast: Mapping[str, Any] = field(default_factory=dict)  # parameters of its notebook that make it end within 25 s
