"""How much faster are products of signs than those of float32, and is the answer exact? In one process, in turn, one thread.

The bars are those of processors that count the bits of whole vectors (AVX-512 VPOPCNTDQ); the paper's 58× was against
slower float32 products.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from _results import finish, median

from workbench.formats import _xnor_kernel

TURNS = 60
PRODUCT_BAR, CONVOLUTION_BAR = 19.0, 15.0


def main() -> None:
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    left, right = (random.normal(size=(1024, 1024)).astype(np.float32) for _ in range(2))
    pictures = random.normal(size=(1, 256, 14, 14)).astype(np.float32)
    filters = random.normal(size=(256, 256, 3, 3)).astype(np.float32)
    rows, columns = _xnor_kernel.pack(left >= 0), np.ascontiguousarray(_xnor_kernel.pack(right >= 0).T)
    taps, where = _xnor_kernel.taps(filters >= 0), ((3, 3), (1, 1), (1, 1), (1, 1))
    count, tensors = _xnor_kernel.compiled(), [torch.from_numpy(each) for each in (left, right, pictures, filters)]
    exact = _is_exact(count, left, right, pictures, filters, where)
    ways: dict[str, Callable[[], Any]] = {
        "float32 product": lambda: tensors[0] @ tensors[1].T,
        "compiled product": lambda: count(rows, columns, 1024),
        "NumPy product": lambda: _xnor_kernel.in_numpy(rows, columns, 1024),
        "float32 convolution": lambda: torch.nn.functional.conv2d(tensors[2], tensors[3], padding=1),
        "compiled convolution, packing included": lambda: _xnor_kernel.conv2d(pictures, taps, *where),
    }
    samples = _in_turn(ways)
    product = _ratio(samples["float32 product"], samples["compiled product"])
    in_numpy = _ratio(samples["float32 product"], samples["NumPy product"])
    convolution = _ratio(samples["float32 convolution"], samples["compiled convolution, packing included"])
    least = {name: min(values) for name, values in samples.items()}
    finish(
        "xnor_kernel",
        {
            f"product 1024³: {product:.1f} × torch float32 ≥ {PRODUCT_BAR:g} ×": product >= PRODUCT_BAR,
            f"convolution 256 → 256, 14², 3 × 3: {convolution:.1f} × ≥ {CONVOLUTION_BAR:g} ×": convolution
            >= CONVOLUTION_BAR,
            "compiled, NumPy's and float32's answers are equal": exact,
        },
        summary=f"product {product:.1f} ×, convolution {convolution:.1f} ×, NumPy product {in_numpy:.1f} ×",
        figures={
            "product": product,
            "convolution": convolution,
            "product_in_numpy": in_numpy,
            "product_of_minima": least["float32 product"] / least["compiled product"],
            "convolution_of_minima": least["float32 convolution"] / least["compiled convolution, packing included"],
        },
        samples=samples,
    )


def _in_turn(ways: dict[str, Callable[[], Any]]) -> dict[str, list[float]]:
    """Return seconds of each way, one after the other in every turn."""
    samples: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(TURNS + 3):
        for name, way in ways.items():
            begin = time.perf_counter()
            way()
            if turn >= 3:  # the first ones warm up
                samples[name].append(time.perf_counter() - begin)
    return samples


def _ratio(slow: list[float], fast: list[float]) -> float:
    return median([one / other for one, other in zip(slow, fast)])


def _is_exact(count: Any, left: Any, right: Any, pictures: Any, filters: Any, where: Any) -> bool:
    signs = [
        torch.from_numpy(np.where(each >= 0, 1, -1).astype(np.float32)) for each in (left, right, pictures, filters)
    ]
    rows, columns = _xnor_kernel.pack(left >= 0), np.ascontiguousarray(_xnor_kernel.pack(right >= 0).T)
    products = [kernel(rows, columns, 1024) for kernel in (count, _xnor_kernel.in_numpy)]
    padded = torch.nn.functional.pad(signs[2], (1, 1, 1, 1), value=1.0)
    convolved = _xnor_kernel.conv2d(pictures, _xnor_kernel.taps(filters >= 0), *where)
    return all(np.array_equal(each, (signs[0] @ signs[1].T).numpy()) for each in products) and np.array_equal(
        convolved, torch.nn.functional.conv2d(padded, signs[3]).numpy()
    )


if __name__ == "__main__":
    main()
