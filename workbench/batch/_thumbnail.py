"""The first figure of an executed notebook, small enough to stand in a table of a thousand rows."""

from __future__ import annotations

import base64
import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode

NAME = "thumbnail"
SIZE = (240, 160)  # pixels, twice of what the page shows
COLOURS, QUALITY = 64, 60
SMALL_ENOUGH = 16_000  # bytes of a picture in the page
RASTER, DRAWN = {"image/png": "png", "image/jpeg": "jpeg"}, "image/svg+xml"


def write_thumbnail(executed: NotebookNode, folder: Path) -> None:
    """Write the first picture among the outputs as `thumbnail.*`, unless the folder has one or there is none.

    Large pictures need Pillow; without it they are passed over.
    """
    if any(folder.glob(f"{NAME}.*")):
        return
    for kind, picture in _pictures(executed):
        if kind == DRAWN or len(picture) <= SMALL_ENOUGH:
            small, ending = picture, "svg" if kind == DRAWN else RASTER[kind]
        else:
            small, ending = _smaller(picture)
        if 0 < len(small) <= SMALL_ENOUGH:
            (folder / f"{NAME}.{ending}").write_bytes(small)
            return


def as_address(path: Path) -> str:
    """Return a picture's file as the address of an <img> that needs no file."""
    kind = "svg+xml" if path.suffix == ".svg" else path.suffix[1:]
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _pictures(executed: NotebookNode) -> Iterator[tuple[str, bytes]]:
    for cell in executed.cells:
        for output in cell.get("outputs", []):
            for kind, content in output.get("data", {}).items():
                text = "".join(content) if isinstance(content, list | str) else ""
                if kind == DRAWN:
                    yield kind, text.encode()
                elif kind in RASTER:
                    yield kind, base64.b64decode(text)


def _smaller(picture: bytes) -> tuple[bytes, str]:
    """Return a picture on white: in few colours as drawings have, else as a photograph; empty when it can't be read."""
    if importlib.util.find_spec("PIL") is None:
        return b"", ""
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(picture)).convert("RGBA")
    except (OSError, ValueError, Image.DecompressionBombError):
        return b"", ""
    image.thumbnail(SIZE, Image.Resampling.LANCZOS)
    on_white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    drawing, photograph = io.BytesIO(), io.BytesIO()
    on_white.quantize(COLOURS).save(drawing, "PNG", optimize=True)
    if len(drawing.getvalue()) <= SMALL_ENOUGH:
        return drawing.getvalue(), "png"
    on_white.save(photograph, "JPEG", quality=QUALITY)
    return photograph.getvalue(), "jpeg"
