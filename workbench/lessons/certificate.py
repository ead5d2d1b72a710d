"""What somebody has done in the workshop, on one page: it says what their own progress file says, and no more."""

from __future__ import annotations

import html
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from workbench import __version__
from workbench.errors import InvalidInput
from workbench.lessons import catalog
from workbench.lessons.words import nearest
from workbench.nouns import SCHEMA

NOTE = "Written from a progress file on the learner's own machine; nobody has watched."
STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:760px;margin:48px auto;padding:0 20px}"
    "table{border-collapse:collapse;width:100%}td,th{padding:4px 8px;text-align:left;border-bottom:1px solid #8884}"
    "td:last-child{text-align:right}small{opacity:.7}"
)


def of(record: Mapping[str, Any], person: str, language: str = "en") -> dict[str, Any]:
    """Return what a progress record shows, per lesson, quiz and challenge; raises InvalidInput when no exercise is solved."""
    kept = record["exercises"]
    lessons = [
        {
            "number": each.number, "title": nearest(each, language).own["title"], "total": len(each.exercises),
            "solved": sum(kept.get(one.id, {}).get("verdict") == "ok" for one in each.exercises),
            "solutions_seen": sum(bool(kept.get(one.id, {}).get("saw_solution")) for one in each.exercises),
        }
        for each in catalog.lessons()
    ]  # fmt: skip
    if not any(each["solved"] for each in lessons):
        raise InvalidInput(["no exercise is solved yet"], next_move="workbench lesson start 1")
    quiz = record.get("quiz")
    return {
        "schema": SCHEMA, "person": person or record["person"], "date": datetime.now(UTC).date().isoformat(),
        "workbench": __version__, "lessons": [each for each in lessons if each["solved"]],
        "quiz": {"right": quiz["right"], "of": quiz["of"], "tries": quiz["tries"]} if quiz else None,
        "challenge": max((each["times_smaller"] for each in record.get("scores", {}).values()), default=None),
        "note": NOTE,
    }  # fmt: skip


def page(told: Mapping[str, Any], language: str = "en") -> str:
    """Return a certificate as one offline page."""
    rows = "".join(
        f"<tr><td>{each['number']} {html.escape(each['title'])}</td><td>{each['solved']} of {each['total']}</td></tr>"
        for each in told["lessons"]
    )
    if quiz := told["quiz"]:
        again = f", try {quiz['tries']}" if quiz["tries"] > 1 else ""
        rows += f"<tr><td>Quiz{again}</td><td>{quiz['right']} of {quiz['of']}</td></tr>"
    if told["challenge"]:
        rows += f"<tr><td>Challenge, within its budget</td><td>{told['challenge']:g} × smaller</td></tr>"
    who = html.escape(told["person"]) or "Somebody"
    body = f"<h1>{who}</h1><p>has done in the workshop on making models smaller and faster:</p><table>{rows}</table>"
    foot = f"<p><small>{told['date']} · workbench {told['workbench']} · {NOTE}</small></p>"
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{who}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="{language}"><head>{head}</head><body>{body}{foot}</body></html>'
