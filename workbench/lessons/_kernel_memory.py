"""How much memory the kernels that this process starts take at most, looked at while a notebook runs."""

from __future__ import annotations

import threading

EVERY_SECONDS = 0.25


class KernelMemory:
    """with KernelMemory() as memory: … ; memory.peak_bytes is the largest resident set of any kernel meanwhile."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._done = threading.Event()
        self._looking = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> KernelMemory:
        self._looking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._looking.join()

    def _look(self) -> None:
        import psutil

        own, kernels = psutil.Process(), dict[int, bool]()
        while not self._done.wait(EVERY_SECONDS):
            for child in own.children():
                try:
                    if child.pid not in kernels:
                        kernels[child.pid] = any("ipykernel" in word for word in child.cmdline())
                    if kernels[child.pid]:
                        self.peak_bytes = max(self.peak_bytes, child.memory_info().rss)
                except psutil.Error:  # it has ended meanwhile
                    continue
