"""Writes one file from front to back in a thread of its own, hashed on the way; it appears whole, under its name, or not."""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import WorkbenchError

AT_ONCE = 4 << 20  # bytes that are handed to the writer together


class Writer:
    """A context manager around `put`; leaving it without an error gives the file its name."""

    def __init__(self, path: Path) -> None:
        self.path, self.partial = path, path.with_name(f".{path.name}.partial")
        self.num_bytes, self.sha256 = 0, ""
        self._hash = hashlib.sha256()
        self._gathered: list[Any] = []
        self._gathered_bytes = 0
        self._queue: queue.Queue[list[Any] | None] = queue.Queue(maxsize=2)
        self._failed: OSError | None = None
        self._thread = threading.Thread(target=self._write, name="shrink-writer", daemon=True)

    def __enter__(self) -> Writer:
        try:
            self._file = open(self.partial, "wb", buffering=0)  # noqa: SIM115
        except OSError as error:
            self._failed = error
            self._raise_failure()
        self._thread.start()
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        if kind is None and not self._failed:
            self._queue.put(self._gathered)
        self._queue.put(None)
        self._thread.join()
        self._file.close()
        if kind is None and not self._failed:
            self.sha256 = self._hash.hexdigest()
            os.replace(self.partial, self.path)
            return
        self.partial.unlink(missing_ok=True)
        if kind is None:
            self._raise_failure()

    def put(self, content: bytes | np.ndarray) -> None:
        """Write further bytes; the array isn't to be changed afterwards."""
        view = (
            memoryview(content)
            if isinstance(content, bytes)
            else np.ascontiguousarray(content).reshape(-1).view(np.uint8).data
        )
        self._gathered.append(view)
        self._gathered_bytes += view.nbytes
        self.num_bytes += view.nbytes
        if self._gathered_bytes >= AT_ONCE:
            self._hand_over()

    def _hand_over(self) -> None:
        self._raise_failure()
        self._queue.put(self._gathered)
        self._gathered, self._gathered_bytes = [], 0

    def _write(self) -> None:
        while (views := self._queue.get()) is not None:
            if self._failed:
                continue  # whoever puts must not wait for ever
            try:
                for view in views:
                    self._hash.update(view)
                    left = view
                    while left.nbytes:
                        left = left[self._file.write(left) :]
            except OSError as error:
                self._failed = error

    def _raise_failure(self) -> None:
        if self._failed:
            raise WorkbenchError(
                f"{self.path.name} can't be written: {self._failed.strerror}",
                next_move="free room (or raise the limit) and run the same again: finished files are kept, the source is untouched",
            ) from self._failed


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
