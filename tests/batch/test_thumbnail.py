"""The first figure of a row stands in the table of its batch: small, inside the page, and only where there is one."""

from __future__ import annotations

import base64
import importlib.util
import io
from pathlib import Path
from typing import Any

import pytest
from batch_folders import crafted
from nbformat import NotebookNode, v4

from workbench.batch._thumbnail import SMALL_ENOUGH, write_thumbnail
from workbench.batch.index import index_page
from workbench.batch.views import look

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M0 0L9 9"/></svg>'
needs_pillow = pytest.mark.skipif(importlib.util.find_spec("PIL") is None, reason="needs the extra `images`")


def executed(*bundles: dict[str, Any]) -> NotebookNode:
    outputs = [v4.new_output("display_data", data=each) for each in bundles]
    return v4.new_notebook(cells=[v4.new_markdown_cell("# Work"), v4.new_code_cell("draw()", outputs=outputs)])


def large_png(*, noisy: bool) -> str:
    """Return a picture of 900 × 700 pixels: lines on nothing, or in more colours than any drawing has."""
    from PIL import Image, ImageDraw

    image = Image.effect_noise((900, 700), 120).convert("RGBA") if noisy else Image.new("RGBA", (900, 700))
    for end in range(0, 900, 7):
        ImageDraw.Draw(image).line((0, 0, end, 700), fill=(end % 256, 90, 120, 255), width=3)
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


@needs_pillow
@pytest.mark.parametrize(("noisy", "kind"), [(False, "PNG"), (True, "JPEG")])
def test_a_large_figure_becomes_small(tmp_path: Path, noisy: bool, kind: str) -> None:
    from PIL import Image

    write_thumbnail(executed({"text/plain": "Figure", "image/png": large_png(noisy=noisy)}), tmp_path)
    (path,) = tmp_path.iterdir()
    with Image.open(path) as image:
        assert image.size == (206, 160) and image.format == kind and path.stat().st_size <= SMALL_ENOUGH
        assert noisy or image.convert("RGB").getpixel((205, 0)) == (255, 255, 255)


@needs_pillow
def test_what_can_not_be_read_is_passed_over(tmp_path: Path) -> None:
    broken = base64.b64encode(b"\x89PNG" + b"x" * 2 * SMALL_ENOUGH).decode()
    write_thumbnail(executed({"image/png": broken}, {"image/svg+xml": SVG}), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thumbnail.svg"]


def test_the_first_of_several_notebooks_that_draws_gives_the_figure(tmp_path: Path) -> None:
    for bundle in ({"text/plain": "nothing"}, {"image/svg+xml": SVG}, {"image/svg+xml": SVG.replace("9", "8")}):
        write_thumbnail(executed(bundle), tmp_path)
    assert (tmp_path / "thumbnail.svg").read_text() == SVG


def test_figures_stand_in_the_table_and_open_their_notebook(tmp_path: Path) -> None:
    folder = crafted(tmp_path, 3)
    assert 'data-name="figure"' not in index_page(look(folder))
    first = next(iter(folder.records()))
    write_thumbnail(executed({"image/svg+xml": SVG}), folder.row(first))
    (folder.row(first) / "out.ipynb").write_text("{}")
    page = index_page(look(folder))
    address = f"data:image/svg+xml;base64,{base64.b64encode(SVG.encode()).decode()}"
    assert f'<a href="rows/{first}/out.ipynb"><img src="{address}" alt="first figure of {first}"' in page
    assert page.count("<img") == 1
