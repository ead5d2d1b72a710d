"""Small pictures as data URIs, written as PNG by hand: no imaging library is needed for a few pixels.

Source: PNG specification, third edition (W3C 2025), sections 5 and 11.2.
"""

from __future__ import annotations

import base64
import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

GREY, RGB = 0, 2


def png_uri(pixels: np.ndarray) -> str:
    """Return a data URI of an image (C, H, W) with C = 1 or 3, scaled from its own least and largest value."""
    import numpy as np

    low, high = float(pixels.min()), float(pixels.max())
    bright = np.round((pixels - low) / ((high - low) or 1.0) * 255).astype(np.uint8)
    num_channels, height, width = bright.shape
    rows = bright.transpose(1, 2, 0).reshape(height, width * num_channels)
    filtered = np.hstack([np.zeros((height, 1), np.uint8), rows])  # filter type 0 before every row
    header = struct.pack(">IIBBBBB", width, height, 8, RGB if num_channels == 3 else GREY, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, content)
        for kind, content in ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes(), 9)), (b"IEND", b""))
    )
    return "data:image/png;base64," + base64.b64encode(data).decode()


def is_image(array: np.ndarray) -> bool:
    """Say whether an input (N, C, H, W) can be shown as pictures."""
    return array.ndim == 4 and array.shape[1] in (1, 3) and array.dtype.kind == "f"


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
