"""Weights of a checkpoint as float32 by name, dense or packed as shrinking writes them; one tensor at a time, no torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from workbench import _float8, _numbers, _safetensors, grids
from workbench._safetensors import Stored
from workbench.errors import InvalidInput

KINDS = {
    **_numbers.FLOATS,
    "F8_E4M3": np.dtype("u1"),
    "I8": np.dtype("i1"),
    "I32": np.dtype("<i4"),
    "I64": np.dtype("<i8"),
}


class Weights:
    """All tensors of some safetensors files; reading one leaves nothing behind."""

    def __init__(self, files: list[Path]) -> None:
        self.tensors: Mapping[str, tuple[Path, Stored]] = {
            stored.name: (path, stored) for path in files for stored in _safetensors.tensors(path)
        }

    def dense(self, name: str) -> np.ndarray:
        """Return a tensor as float32; `name` is that of the dense one, however it is stored."""
        layer = name.removesuffix(".weight")
        if f"{layer}.weight_packed" in self.tensors:
            return self._unpacked(layer)
        raw, dtype = self._raw(name)
        if dtype in ("I8", "F8_E4M3"):
            numbers = raw.astype(np.float32) if dtype == "I8" else _float8.widened(raw)
            return numbers * self.dense(f"{layer}.weight_scale")
        return _numbers.widened(raw, dtype)

    def rows(self, name: str, wanted: np.ndarray) -> np.ndarray:
        """Return float32 rows of a matrix by their numbers; only these are read."""
        path, stored = self._find(name)
        kind = KINDS[stored.dtype]
        if stored.dtype not in _numbers.FLOATS or stored.shape[0] <= int(wanted.max(initial=0)):
            raise InvalidInput(
                [f"{name} has {stored.shape[0]:,} rows of {stored.dtype}, and row {wanted.max():,} is asked for"]
            )
        lying = (
            np.memmap(path, kind, "r", stored.begin, stored.shape)
            if stored.begin % kind.itemsize == 0
            else self._raw(name)[0]
        )
        return _numbers.widened(np.ascontiguousarray(lying[wanted]), stored.dtype)

    def _unpacked(self, layer: str) -> np.ndarray:
        words, scales = self._raw(f"{layer}.weight_packed")[0], self.dense(f"{layer}.weight_scale")
        num_outputs, num_inputs = (int(each) for each in self._raw(f"{layer}.weight_shape")[0])
        bits = self._bits(words.shape[1], num_inputs)
        integers = grids.from_bytes(words.view(np.uint8), bits, num_inputs)
        zeros = np.full(scales.shape, 2 ** (bits - 1), np.float32)
        if f"{layer}.weight_zero_point" in self.tensors:
            packed = np.ascontiguousarray(self._raw(f"{layer}.weight_zero_point")[0].T)
            zeros = grids.from_bytes(packed.view(np.uint8), bits, num_outputs).T.astype(np.float32)
        size = num_inputs // scales.shape[1]
        wide = [np.repeat(each, size, axis=1) for each in (zeros, scales)]
        widened: np.ndarray = (integers - wide[0]) * wide[1]
        return widened

    @staticmethod
    def _bits(num_words: int, num_inputs: int) -> int:
        return next(bits for bits in (8, 4, 3, 2) if -(-num_inputs * bits // 32) == num_words)

    def _raw(self, name: str) -> tuple[np.ndarray, str]:
        path, stored = self._find(name)
        raw = np.empty(stored.num_bytes, np.uint8)
        with path.open("rb", buffering=0) as file:
            done = 0
            while done < raw.nbytes:  # the system reads at most 2 GB at once
                done += os.preadv(file.fileno(), [raw[done:].data], stored.begin + done)
        return raw.view(KINDS[stored.dtype]).reshape(stored.shape), stored.dtype

    def _find(self, name: str) -> tuple[Path, Stored]:
        if name not in self.tensors:
            raise InvalidInput([f"the checkpoint has no tensor {name}"])
        return self.tensors[name]
