"""The page of a class: a heat map of exercises and people, the commonest mistakes with the sentence to say, predictions."""

from __future__ import annotations

import html
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from workbench.lessons import catalog, quiz, texts
from workbench.lessons.classroom import Cell, Class, Predicted, Row, Scored
from workbench.lessons.words import nearest

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 24px auto; max-width: 1100px; padding: 0 16px; }
table { border-collapse: collapse; margin: 8px 0 20px; } th, td { padding: 4px 8px; text-align: left; vertical-align: top; }
thead th { font-weight: 600; border-bottom: 1px solid #8888; } tbody th { font-weight: 600; white-space: nowrap; }
td.cell { border: 1px solid #8884; padding: 2px 6px; font-size: 13px; line-height: 1.25; white-space: nowrap; }
.scroll th:first-child { position: sticky; left: 0; background: Canvas; }
.scroll thead th { max-width: 8em; overflow-wrap: break-word; vertical-align: bottom; } .scroll td { white-space: nowrap; }
td.ok { background: color-mix(in srgb, #009e73 30%, transparent); } td.try_again { background: color-mix(in srgb, #d55e00 30%, transparent); }
.scroll { overflow-x: auto; } small { opacity: 0.75; } i { display: inline-block; height: 11px; background: #0072b2; margin-right: 8px; }
"""
SIGNS = {"ok": "✓", "try_again": "↻", "not_attempted": "…"}
HINT, SEEN = "·", " ◉"
LEGEND = f"✓ solved, ↻ tried, … opened; behind it the tries, {HINT} for each hint, ◉ where the solution was looked at; below it the minutes until solved."


def page(found: Class, language: str = "en") -> str:
    """Return one offline page without scripts."""
    pieces = [f"<h1>The class: {len(found.people)} people</h1>", _heat_map(found), _mistakes(found.rows, language)]
    pieces += [_quiz(found, language), *map(_challenge, found.challenges)]
    pieces.append(_predictions(found.predictions, language))
    if found.refused:
        told = "".join(f"<li>{html.escape(name)}: {html.escape(why)}</li>" for name, why in found.refused)
        pieces.append(f"<h2>Files that could not be read</h2><ul>{told}</ul>")
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>The class</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="{language}"><head>{head}</head><body>{"".join(pieces)}</body></html>'


def _heat_map(found: Class) -> str:
    heads = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in found.people)
    rows = "".join(
        f'<tr><th scope="row">{row.id}</th><td>{row.share_solved:.0%}</td>'
        f"<td>{'–' if row.median_minutes is None else f'{row.median_minutes:.0f} min'}</td>"
        f"{''.join(map(_cell, row.cells))}</tr>"
        for row in found.rows
    )
    return (
        f"<h2>Exercises</h2><p>{LEGEND}</p>"
        f'<div class="scroll"><table><thead><tr><th>exercise</th><th>solved</th><th>median</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _cell(cell: Cell | None) -> str:
    """Return a cell that is narrow enough for thirty beside each other; a pointer on it gets the words."""
    if cell is None:
        return '<td class="cell"></td>'
    minutes = "" if cell.minutes is None else f"<br><small>{cell.minutes:.0f} min</small>"
    seen = SEEN if cell.saw_solution else ""
    told = f"{SIGNS[cell.verdict]} {cell.tries}{HINT * cell.hints}{seen}{minutes}"
    return f'<td class="cell {cell.verdict}" title="{_in_words(cell)}">{told}</td>'


def _in_words(cell: Cell) -> str:
    facts = [_counted(cell.tries, "try", "tries"), _counted(cell.hints, "hint", "hints")]
    facts += [f"solved after {cell.minutes:g} min"] if cell.minutes is not None else []
    return ", ".join([*facts, *(["solution seen"] if cell.saw_solution else [])])


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _mistakes(rows: Iterable[Row], language: str) -> str:
    lines = []
    for row in rows:
        words = nearest(catalog.lesson(row.id.partition(".")[0]), language)
        for name, people in row.misconceptions[:3]:
            known = words.exercise(row.id)["misconceptions"].get(name) or words.shared["misconceptions"].get(name)
            lines.append(
                f"<tr><th>{row.id}</th><td>{people}</td><td>{_said(known['cause'] if known else name)}</td></tr>"
            )
    if not lines:
        return ""
    return f"<h2>What to say</h2><table><thead><tr><th>exercise</th><th>people</th><th>the mistake</th></tr></thead>{''.join(lines)}</table>"


def _said(text: str) -> str:
    """Return words of a lesson as HTML; what they name of one person's answer is left open."""
    pieces = re.sub(r"\$\w+", "…", html.escape(text)).split("`")
    return "".join(
        f"<code>{piece}</code>" if index % 2 else piece.replace("**", "") for index, piece in enumerate(pieces)
    )


def _quiz(found: Class, language: str) -> str:
    if not found.quiz:
        return ""
    words = quiz.words(language if language in texts.languages_of("_quiz") else "en")
    rows = "".join(
        f"<tr><th>{right} of {people}</th><td>{html.escape(words[name]['ask'])}</td><td>{html.escape(words[name]['why'])}</td></tr>"
        for name, right, people in found.quiz
    )
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("right", "question", "what to say"))
    return f"<h2>Quiz, the hardest first</h2><table><thead><tr>{heads}</tr></thead>{rows}</table>"


def _challenge(each: Scored) -> str:
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{_times(score['times_smaller'])}</td><td>{score['num_bytes']:,}</td>"
        f"<td>{score['drop']:+.2f}</td><td>{html.escape(str(score['recipe']))}</td></tr>"
        for name, score in each.scores
    )
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("who", "smaller", "bytes", "points lost", "recipe"))
    head = f"<h2>Challenge ({html.escape(each.word_sha256)})</h2>"
    return f"{head}<table><thead><tr>{heads}</tr></thead>{rows}</table>"


def _times(smaller: float) -> str:
    """Return a score in words: one that lost more than the budget has none."""
    return f"{smaller:g} ×" if smaller else "lost too much"


def _predictions(predicted: Iterable[Predicted], language: str) -> str:
    pieces = [_prediction(each, language) for each in predicted]
    return f"<h2>Predictions and decisions</h2>{''.join(pieces)}" if pieces else ""


def _prediction(each: Predicted, language: str) -> str:
    words, question = nearest(catalog.lesson(each.id.partition(".")[0]), language), catalog.question(each.id)
    most = max(count for _, count in each.values)
    bars = "".join(
        f'<tr><td>{html.escape(words.answer(question, value))}</td><td><i style="width:{round(160 * count / most)}px"></i>{count}</td></tr>'
        for value, count in each.values
    )
    ask = _said(words.question(each.id)["ask"])
    measured = f"<p>measured: {html.escape(_measured(each.measured))}</p>" if each.measured else ""
    return f"<h3>{each.id}</h3><p>{ask}</p><table>{bars}</table>{measured}"


def _measured(values: Sequence[Any]) -> str:
    """Return what came out on the machines of a class: median and range of numbers, else each with how often."""
    if not all(isinstance(value, int | float) for value in values):
        return ", ".join(f"{value} ({count})" for value, count in Counter(map(str, values)).most_common())
    low, middle, high = (f"{value:.3g}" for value in (min(values), statistics.median(values), max(values)))
    spread = "" if low == high else f", {low} to {high}"
    return f"{middle}{spread} (on {_counted(len(values), 'machine', 'machines')})"
