"""Writes README's generated parts: `python tests/house/readme_table.py` rewrites them, a test compares them."""

from __future__ import annotations

import sys
from pathlib import Path

from workbench import catalog
from workbench.params import ParamSpec, describe
from workbench.part import FAMILIES

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- parts: generated, `make fix` rewrites it -->", "<!-- end of parts -->"
HEADINGS = {
    "zoo": "Models",
    "data": "Data",
    "compress": "Steps",
    "formats": "Formats",
    "measure": "Metrics",
    "launch": "Launchers",
    "layout": "Layouts",
}


def table() -> str:
    """Return the tables of all parts, one a family."""
    lines: list[str] = []
    for family in FAMILIES:
        lines += [
            "",
            f"**{HEADINGS[family]}** (`workbench/{family}/`)",
            "",
            "| part | what | parameters (default) |",
            "|---|---|---|",
        ]
        for part in catalog.parts(family):
            parameters = ", ".join(_parameter(spec) for spec in describe(part)) or "–"
            lines.append(f"| `{part.name()}` | {part.title} | {parameters} |")
    return "\n".join(lines).strip()


def _parameter(spec: ParamSpec) -> str:
    default = "required" if spec.required else f"{spec.default}" if spec.default not in ([], "") else "none"
    return f"`{spec.name}` ({default})"


def rewritten(text: str) -> str:
    """Return README's text with the generated part made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    assert after or text.rstrip().endswith(END), "README lacks the markers of the parts table"
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    README.write_text(rewritten(README.read_text()))
    sys.exit(0)
