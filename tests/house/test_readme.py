"""README says what is there: its tables are made from the parts, its commands and files exist."""

from __future__ import annotations

import re
from pathlib import Path

from tests.house.readme_table import README, rewritten
from workbench import catalog
from workbench.part import FAMILIES

ROOT = README.parent


def test_the_part_tables_are_what_the_catalog_finds() -> None:
    text = README.read_text()
    assert text == rewritten(text), "run `make fix`"


def test_every_part_is_named() -> None:
    text = README.read_text()
    for family in FAMILIES:
        for name in catalog.names(family):
            assert f"`{name}`" in text, name


def test_the_files_it_points_at_exist() -> None:
    links = re.findall(r"\]\(((?!http|#)[^)]+)\)", README.read_text())
    assert links
    for link in links:
        assert (ROOT / Path(link.split("#")[0])).exists(), link


def test_the_commands_it_shows_exist() -> None:
    from typer.main import get_command

    from workbench.cli import app

    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    shown = set(re.findall(r"^\s*(?:\$ )?workbench ([a-z]+)", README.read_text(), flags=re.MULTILINE))
    assert shown
    assert shown <= known, shown - known
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"`make (\w+)", README.read_text())) <= targets
