"""The model's state after each step, kept under the hash of everything that led to it.

Twelve recipes on one trained baseline train it once, and a killed worker goes on after its last finished step. States are
pickles: private files (0600) of this user and this environment, never shared, exported or served.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import os
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import catalog
from workbench.errors import InvalidInput
from workbench.job import digest
from workbench.machine import versions
from workbench.nouns import Quantization
from workbench.params import describe
from workbench.part import Model, Part
from workbench.store import disk_errors

if TYPE_CHECKING:
    from torch import nn

TRAINING = ("workbench.train", "workbench.spread")  # the loop, and what layouts replace of it
# What parts are written in: it decides what may be said, never what comes out.
DECLARING = {f"workbench.{name}" for name in ("errors", "params", "nouns", "part", "extents", "machine")}
DEFAULT_CAP_BYTES = 20 * 2**30

# What a truncated or foreign pickle raises, as far as it was seen; such a state is made again.
DAMAGED = (
    pickle.UnpicklingError, RuntimeError, EOFError, OSError, AttributeError, ImportError, KeyError, IndexError, TypeError,
    ValueError,
)  # fmt: skip


@dataclass
class State:
    """What is handed from step to step."""

    model: nn.Module
    quantization: dict[str, Quantization] = field(default_factory=dict)
    controls: dict[str, Any] = field(default_factory=dict)  # name -> arrays and figures of a control model


def keys(model: Model, data_sha256: str, steps: tuple[Part, ...], seed: int, layout: Part | None = None) -> list[str]:
    """Return the key of the state before the first step and after each one; without a layout, one process trained."""
    led_here: list[Any] = [model.to_json(), source_hash(model), data_sha256, seed, versions()]
    led_here += [layout.to_json(), source_hash(layout)] if layout else []
    found = [digest(led_here)]
    for step in steps:
        led_here += [step.to_json(), source_hash(step)]
        found.append(digest(led_here))
    return found


def seeds(model: Model, data: Part, steps: tuple[Part, ...], seed: int) -> list[int]:
    """Return the seed of the build and of each step: from the job alone, so that cached equals uncached."""
    records = [part.to_json() for part in (model, data, *steps)]
    return [int(digest([seed, records[: index + 2]]), 16) % 2**31 for index in range(len(steps) + 1)]


def source_hash(part: Part) -> str:
    """Return a hash of the source that decides what a part does: its file, its helpers, the training loop, nested parts."""
    texts = [_source(type(part).__module__), *(own_files(part) if isinstance(part, Model) else ())]
    for spec in describe(type(part)):
        nested = getattr(part, spec.name) if spec.part else None
        if isinstance(nested, dict):
            texts.append(source_hash(catalog.make(spec.part, nested)))
    return digest(texts)


def own_files(model: Model) -> list[str]:
    """Return a hash of each of a person's files that decide what a model is; weights may be larger than memory."""
    hashes = []
    for path in model.source_files():
        with path.open("rb") as file:
            hashes.append(hashlib.file_digest(file, "sha256").hexdigest())
    return hashes


@functools.cache
def _source(module: str) -> str:
    """Hash a module of ours with what of ours it imports, at any depth."""
    folder = Path(__file__).parent
    waiting, seen = [module], dict[str, str]()
    while waiting:
        name = waiting.pop()
        path = folder.joinpath(*name.split(".")[1:]).with_suffix(".py")
        if name in seen or not path.exists():
            continue
        text = path.read_text()
        seen[name] = hashlib.sha256(text.encode()).hexdigest()
        waiting += [helper for helper in _imports(text) if helper not in DECLARING]
        if ".compress." in name:
            waiting += TRAINING  # reached through ctx.train
    return digest(sorted(seen.items()))


def _imports(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("workbench"):
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("workbench"))


class PrefixCache:
    """Saved states in `<store>/.cache`, oldest removed first beyond `cap_bytes` (WORKBENCH_CACHE_BYTES)."""

    def __init__(self, root: Path, cap_bytes: int | None = None) -> None:
        self.root = root / ".cache"
        self.cap_bytes = _cap_bytes() if cap_bytes is None else cap_bytes

    def get(self, key: str) -> State | None:
        """Return a state, or None when it isn't there, isn't ours or can't be read (then it is removed)."""
        import torch

        path = self._path(key)
        try:
            if hasattr(os, "getuid") and path.stat().st_uid != os.getuid():
                return None
            state = torch.load(path, weights_only=False)
            os.utime(path)  # used now: removed last
        except FileNotFoundError:
            return None
        except DAMAGED:
            path.unlink(missing_ok=True)
            return None
        return state

    def has(self, key: str) -> bool:
        return self._path(key).exists()

    def put(self, key: str, state: State) -> None:
        """Keep a state; appears whole, readable by this user only."""
        import torch

        with disk_errors(self.root):
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial = self.root / f"{key}.{os.getpid()}.partial"
            try:
                with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                    torch.save(state, file)
                partial.replace(self._path(key))
            finally:
                partial.unlink(missing_ok=True)
        self._trim(keep=key)

    @contextlib.contextmanager
    def making(self, key: str, wait: Callable[[], Any]) -> Iterator[None]:
        """Hold the right to make a state; while another worker holds it, waits inside `wait()` (a context manager)."""
        if os.name != "posix":
            yield
            return
        import fcntl

        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.root / f"{key}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with wait():
                    fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _path(self, key: str) -> Path:
        return self.root / f"{key}.state"

    def _trim(self, *, keep: str) -> None:
        """Remove the oldest states beyond the cap; other workers may be doing the same at this moment."""
        facts = {}
        for path in self.root.glob("*.state"):
            with contextlib.suppress(FileNotFoundError):
                facts[path] = path.stat()
        total = sum(each.st_size for each in facts.values())
        for path in sorted(facts, key=lambda path: facts[path].st_mtime):
            if total <= self.cap_bytes:
                return
            if path != self._path(keep):
                total -= facts[path].st_size
                path.unlink(missing_ok=True)
                path.with_suffix(".lock").unlink(missing_ok=True)


def _cap_bytes() -> int:
    given = os.environ.get("WORKBENCH_CACHE_BYTES", str(DEFAULT_CAP_BYTES))
    if not given.isdigit():
        raise InvalidInput([f"WORKBENCH_CACHE_BYTES={given!r} is no number of bytes"], next_move="as in 20000000000")
    return int(given)
