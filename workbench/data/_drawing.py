"""Ten shapes as signed distances on the plane: positive inside, zero on the outline, each inside the unit circle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Plane = np.ndarray  # (N, H, W) coordinates or distances
EDGES = np.pi * 2 / 3 * np.arange(3) + np.pi / 2  # directions that the sides of the triangle face


def circle(x: Plane, y: Plane) -> Plane:
    return 0.9 - np.hypot(x, y)


def ring(x: Plane, y: Plane) -> Plane:
    return 0.22 - np.abs(np.hypot(x, y) - 0.72)


def square(x: Plane, y: Plane) -> Plane:
    return 0.7 - np.maximum(np.abs(x), np.abs(y))


def frame(x: Plane, y: Plane) -> Plane:
    return 0.18 - np.abs(np.maximum(np.abs(x), np.abs(y)) - 0.52)


def triangle(x: Plane, y: Plane) -> Plane:
    return 0.5 - np.max([x * np.cos(edge) + y * np.sin(edge) for edge in EDGES], axis=0)


def cross(x: Plane, y: Plane) -> Plane:
    upright = np.minimum(0.28 - np.abs(x), 0.95 - np.abs(y))
    return np.maximum(upright, np.minimum(0.28 - np.abs(y), 0.95 - np.abs(x)))


def bar(x: Plane, y: Plane) -> Plane:
    return np.minimum(0.95 - np.abs(x), 0.24 - np.abs(y))


def half_disc(x: Plane, y: Plane) -> Plane:
    return np.minimum(0.9 - np.hypot(x, y - 0.4), 0.4 - y)


def star(x: Plane, y: Plane) -> Plane:
    """Five points: the outline's radius falls linearly with the angle from the nearest point."""
    fifth = 2 * np.pi / 5
    from_valley = np.abs(np.mod(np.arctan2(y, x), fifth) - fifth / 2) / (fifth / 2)
    return 0.4 + 0.6 * from_valley - np.hypot(x, y)


def crescent(x: Plane, y: Plane) -> Plane:
    return np.minimum(0.95 - np.hypot(x, y), np.hypot(x - 0.5, y) - 0.75)


DRAW: dict[str, Callable[[Plane, Plane], Plane]] = {
    drawn.__name__: drawn for drawn in (circle, ring, square, frame, triangle, cross, bar, half_disc, star, crescent)
}


def images(name: str, num_images: int, size: int, random: np.random.Generator) -> np.ndarray:
    """Draw one shape `num_images` times at random places, sizes, angles and colours: (N, 3, size, size) in [0, 1]."""
    place = random.uniform(-0.25, 0.25, (2, num_images, 1, 1)).astype(np.float32)
    extent = random.uniform(0.42, 0.7, (num_images, 1, 1)).astype(np.float32)
    angle = random.uniform(0, 2 * np.pi, (num_images, 1, 1)).astype(np.float32)
    ticks = ((np.arange(size, dtype=np.float32) + 0.5) / size) * 2 - 1
    across, down = (ticks[None, None, :] - place[0]) / extent, (ticks[None, :, None] - place[1]) / extent
    x, y = across * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - across * np.sin(angle)
    covered = np.clip(DRAW[name](x, y) * extent * size / 2 + 0.5, 0, 1)[:, None]  # one pixel of soft edge
    front, back = _colours(num_images, random)
    return (back + (front - back) * covered).astype(np.float32)


def _colours(num_images: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a light colour for the shape and a dark one for the ground of each image, (N, 3, 1, 1) each."""
    front = random.uniform(0.5, 1, (num_images, 3, 1, 1)).astype(np.float32)
    back = random.uniform(0, 0.4, (num_images, 3, 1, 1)).astype(np.float32)
    return front, back
