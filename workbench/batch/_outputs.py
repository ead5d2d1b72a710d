"""What a batch leaves for people and for CI: table, page, summary, JUnit. Each file appears whole."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from workbench.batch._frame import flat, write_table
from workbench.batch._front import front
from workbench.batch.index import duration_text, write_index
from workbench.batch.page import write_page
from workbench.batch.views import Batch, View, counted

MOST_LINES = 50
FAILED = ("failed", "timeout", "oom_limit", "kernel_died", "cancelled")


def write_outputs(batch: Batch) -> None:
    """Write results.csv, results.parquet (where pyarrow is installed), summary.md and index.html."""
    rows = [flat(view) for view in batch.rows]
    write_table(rows, batch.folder.path / "results.csv")
    if importlib.util.find_spec("pyarrow"):
        write_table(rows, batch.folder.path / "results.parquet")
    _write(batch.folder.path / "summary.md", summary(batch))
    write_index(batch)


def write_pages(batch: Batch) -> None:
    """Make a page of each executed notebook that has none."""
    for record in batch.records:
        for copy in batch.folder.row(record.row_id).glob("out*.ipynb"):
            if not copy.with_suffix(".html").exists():
                write_page(copy, copy.with_suffix(".html"))


def summary(batch: Batch) -> str:
    """Return the batch in Markdown, short enough for a comment."""
    ran = sum(record.duration_s for record in batch.records)
    lines = [
        f"## {batch.notebook}: {counted(batch)}",
        "",
        f"{len(batch.rows)} rows, {duration_text(ran)} of notebooks.",
        "",
    ]
    found = front(batch.lines)
    if found:
        (x, _), (y, _) = found.x, found.y
        lines += [f"On the front of {y} over {x}:", "", f"| row | {x} | {y} |", "|---|---|---|"]
        shown = [point for point in found.points if point[0].label in found.members]
        for line, first, second in sorted(shown, key=lambda point: point[1].value)[:MOST_LINES]:
            lines.append(f"| `{line.label}` | {first.value:g} | {second.value:g} |")
        lines.append("")
    for group in batch.errors[:MOST_LINES]:
        example = group["example"]
        message = (example.message.splitlines() or [""])[0].replace("|", "\\|")
        lines.append(
            f"- **{len(group['rows'])} × {example.name}** ({example.category}, {example.where or 'before the first cell'}): {message} (first: `{group['rows'][0]}`)"
        )
    return "\n".join(lines).rstrip() + "\n"


def write_junit(batch: Batch, path: Path, *, unmet: Sequence[str] = ()) -> None:
    """Write a JUnit file: a test case per row, and one per requirement that isn't met."""
    suite = ElementTree.Element(
        "testsuite", name=f"workbench batch {batch.notebook}", tests=str(len(batch.rows) + len(unmet))
    )
    for view in batch.rows:
        _case(suite, batch, view)
    for text in unmet:
        case = ElementTree.SubElement(suite, "testcase", classname="requirements", name=text)
        ElementTree.SubElement(case, "failure", message=text, type="requirement")
    kinds = {
        name: len(suite.findall(f"testcase/{tag}"))
        for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
    }
    suite.attrib |= {name: str(count) for name, count in kinds.items()}
    root = ElementTree.Element("testsuites")
    root.append(suite)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, ElementTree.tostring(root, encoding="unicode", xml_declaration=True))


def _case(suite: ElementTree.Element, batch: Batch, view: View) -> None:
    record = view.record
    took = f"{record.duration_s:.3f}" if record else "0"
    case = ElementTree.SubElement(suite, "testcase", classname=Path(batch.notebook).stem, name=view.row_id, time=took)
    if record and record.error and view.state == record.status:
        tag = "error" if view.state == "error" else "failure"
        found = ElementTree.SubElement(
            case, tag, message=_printable(record.error.message), type=record.error.name or view.state
        )
        found.text = _printable(f"{record.error.where}\n{record.error.cell_excerpt}\n{record.error.traceback_tail}")
    elif view.state != "passed":
        ElementTree.SubElement(case, "skipped", message=_printable(view.why or view.state))


def _printable(text: str) -> str:
    """Return a text without the control characters that XML forbids."""
    return "".join(letter for letter in text if letter in "\t\n" or ord(letter) >= 32)


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f".draft-{os.getpid()}-{path.name}")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)
