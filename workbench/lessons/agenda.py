"""A timetable for a class: which lessons fit into the minutes that there are, what to drop first, and what the room needs."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.errors import InvalidInput
from workbench.lessons import catalog, rehearsal
from workbench.lessons.exercise import Lesson
from workbench.lessons.words import nearest

# Which lessons go first when time is short, by the way of the room. What isn't named follows in the order of its number.
TRACKS = {
    "edge": ("01", "02", "03", "05", "06", "09"),
    "cloud": ("01", "05", "06", "07", "09", "08"),
    "models": ("01", "03", "04", "02", "05"),
}
BREAK_EVERY, BREAK_MINUTES = 90, 10
SLACK = 0.10  # of the time of each lesson: somebody is always late
GIB_PER_PERSON, CORES_PER_PERSON = 1.5, 0.5  # one kernel, one worker, one JupyterLab; most people read most of the time

MAIL = """Please install the workbench before the day (about 5 minutes, 3 GB), and send us the file that the last line writes:

    git clone {address} workbench && cd workbench
    make lab        (opens JupyterLab: close it again)
    .venv/bin/workbench lesson doctor --to ready-YOUR-NAME.json

Nothing is needed from a network on the day itself."""


@dataclass(frozen=True)
class Item:
    """A lesson or a break in the timetable; `number` is empty for a break."""

    begins: int  # minutes after the start
    minutes: int
    number: str
    title: str
    seconds: float  # that its cells take: measured here where it was rehearsed, else its budget
    is_measured: bool
    drop_if_late: tuple[str, ...]


@dataclass(frozen=True)
class Agenda:
    """A timetable, what doesn't fit, and the size of the machine that holds so many people."""

    items: tuple[Item, ...]
    left_out: tuple[str, ...]  # numbers
    minutes: int
    unused_minutes: int
    people: int
    memory_gib: float
    cores: int

    def mail(self, address: str) -> str:
        """Return the text that goes to the people, with the place that they clone from."""
        return MAIL.format(address=address)


def plan(minutes: int, *, track: str = "edge", people: int = 20, language: str = "en") -> Agenda:
    """Fill `minutes` with the lessons of a track; raises InvalidInput when not even the first one fits."""
    if track not in TRACKS:
        raise InvalidInput([f"no track {track!r}"], next_move=f"choose one of: {', '.join(TRACKS)}")
    items: list[Item] = []
    now, since_break, left_out = 0, 0, []
    for lesson in _in_order(track):
        needed = round(lesson.minutes * (1 + SLACK))
        pause = BREAK_MINUTES if items and since_break + needed > BREAK_EVERY else 0
        if now + pause + needed > minutes:
            left_out.append(lesson.number)
            continue
        if pause:
            items.append(Item(now, pause, "", "Break", 0.0, True, ()))
            now, since_break = now + pause, 0
        items.append(_item(lesson, now, needed, language))
        now, since_break = now + needed, since_break + needed
    if not items:
        first = _in_order(track)[0]
        raise InvalidInput([f"{minutes} minutes hold no lesson"], next_move=f"the first takes {first.minutes} minutes")
    cores = max(2, round(people * CORES_PER_PERSON))
    return Agenda(tuple(items), tuple(left_out), minutes, minutes - now, people, people * GIB_PER_PERSON, cores)


def _in_order(track: str) -> list[Lesson]:
    first = {number: place for place, number in enumerate(TRACKS[track])}
    return sorted(catalog.lessons(), key=lambda each: (first.get(each.number, len(first)), each.number))


def _item(lesson: Lesson, begins: int, minutes: int, language: str) -> Item:
    measured = rehearsal.known().get(lesson.number)
    bonus = tuple(each.id for each in lesson.exercises if each.is_bonus)
    return Item(
        begins, minutes, lesson.number, nearest(lesson, language).own["title"],
        measured.seconds if measured else lesson.run_seconds, measured is not None,
        bonus or (lesson.exercises[-1].id,),
    )  # fmt: skip
