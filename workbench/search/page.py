"""What a search found as text to keep: the chosen recipe as a study and as a command, and one page about all of it."""

from __future__ import annotations

from html import escape
from pathlib import Path

from workbench import copy_as, report, table
from workbench.compare import Budgets
from workbench.report import Section
from workbench.search._result import Found, Member


def texts(found: Found, store_folder: str | Path) -> dict[str, str]:
    """Return {"yaml", "command"} that give the chosen job again; empty texts when nothing was chosen."""
    job = found.chosen_job
    if job is None:
        return {"yaml": "", "command": ""}
    return {
        "yaml": copy_as.study_yaml([job], f"search-{found.name}"),
        "command": copy_as.command(job, store_folder),
    }


def write_page(found: Found, path: str | Path) -> Path:
    """Write the report of every run that was tried, the front and the chosen recipe above it; returns its path."""
    sections = [Section("front", "The front", _front(found)), Section("chosen", "The recipe", _chosen(found))]
    model, data = found.base.model.name(), found.base.data.name()
    aims = ", ".join(aim.words for aim in found.aims)
    return report.write_report(
        found.runs, path, budgets=Budgets(max_drop=found.max_drop), costs=found.costs(),
        title=f"{model} on {data}: least {aims} within a drop of {found.max_drop:g}", first=sections,
    )  # fmt: skip


def _front(found: Found) -> str:
    numbers = sorted({number for each in found.front for number in each.threads})
    heads = ["Recipe", "Format", "Drop on validation", *(f"{aim.words}, {aim.unit}" for aim in found.aims)]
    heads += [f"ms, {number} threads" for number in numbers if len(numbers) > 1]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    lines = "".join(_line(found, each, numbers if len(numbers) > 1 else []) for each in found.front)
    not_run = ", ".join(f"{count} {reason}" for reason, count in found.refusals().items() if count)
    num_run = sum(bool(trial.status) for trial in found.trials)
    return (
        f"<p>{num_run} recipes were run{f', {not_run} were not' if not_run else ''}; {escape(found.ended)}. No run that was "
        "tried is at least as good in everything and better in something. Drops are paired on the same validation examples, "
        "with a one-sided 95% bound; of many recipes the best one looks better on validation than it is.</p>"
        f"{''.join(f'<p>{escape(note)}.</p>' for note in found.notes())}"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'
    )


def _line(found: Found, each: Member, numbers: list[int]) -> str:
    drop = f"{each.drop.value:+.2f} (≤ {each.drop.bound:.2f}) {each.drop.unit}, n = {each.drop.n}"
    cells = [table.change_text(each.run), table.format_text(each.run), drop if each.drop.n else "as trained"]
    costs = [each.costs[aim.name] for aim in found.aims] + [each.threads.get(number) for number in numbers]
    for cost in costs:
        interval = f" [{cost.lo:.3g}, {cost.hi:.3g}]" if cost and cost.lo is not None else ""
        cells.append("–" if cost is None else f"{cost.value:,.6g}{interval}")
    row = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    mark = ' class="chosen"' if found.chosen and each.run.run_id == found.chosen.run_id else ""
    return f"<tr{mark}>{row}</tr>"


def _chosen(found: Found) -> str:
    if found.chosen is None or found.choice is None:
        return ""
    why = "".join(f"<li>{escape(sentence)}</li>" for sentence in found.why())
    told = texts(found, Path(found.chosen.folder).parent)
    return f"<ul>{why}</ul><pre>{escape(told['yaml'])}</pre><pre>{escape(told['command'])}</pre>"
