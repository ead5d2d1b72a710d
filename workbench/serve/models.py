"""The models that are loaded: found, opened, swapped while they answer, unloaded."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import ArtifactError, InvalidInput, WorkbenchError
from workbench.serve import _config, repository
from workbench.serve._opening import Served, Trust, opened
from workbench.serve.refusal import Refusal
from workbench.serve.repository import Found

NOTHING = "unloaded"


class Models:
    """Owned by one event loop. A request keeps the version that it began with, whatever is loaded meanwhile."""

    def __init__(
        self,
        roots: Sequence[Path],
        runs: Mapping[str, Path] | None = None,
        *,
        trust: Trust | None = None,
        threads: int = 1,
        streams: int = 4,
    ) -> None:
        self.roots, self.runs = tuple(roots), dict(runs or {})  # runs: name → artifact folder
        self.trust, self.threads, self.streams = trust or Trust(), threads, streams
        self.is_ready = False  # becomes True with the first loading, False when stopping
        self._served: dict[str, dict[int, Served]] = {}
        self._reasons: dict[str, str] = {}  # name → why it isn't loaded
        self._changing = asyncio.Lock()

    async def load_all(self) -> None:
        """Load everything that is found; raises WorkbenchError with the first model that can't be."""
        found = self._found()
        if not found:
            where = ", ".join(map(str, self.roots))
            raise InvalidInput([f"no model in {where}"], next_move="workbench repository add RUN --name NAME --to DIR")
        for name in found:
            await self.load(name)
        self.is_ready = True

    async def load(self, name: str) -> None:
        """Open a model's wanted versions in a thread, then put them in place of the old ones; on failure the old ones stay."""
        async with self._changing:
            try:
                new = await asyncio.to_thread(self._open, name)
            except WorkbenchError as error:
                self._reasons[name] = str(error)
                raise
            self._reasons.pop(name, None)
            self._served[name] = new

    async def unload(self, name: str) -> None:
        async with self._changing:
            if name not in self._served:
                raise self._unknown(name)
            del self._served[name]
            self._reasons[name] = NOTHING

    def get(self, name: str, version: str = "") -> Served:
        """Return a loaded model's version, without one the newest; raises Refusal when it isn't there."""
        versions = self._served.get(name)
        if versions is None:
            raise self._unknown(name)
        if not version:
            return versions[max(versions)]
        if not repository.VERSION.fullmatch(version) or int(version) not in versions:
            raise Refusal("unknown", f"model {name!r} has no version {version[:20]!r} loaded: {_listed(versions)} is")
        return versions[int(version)]

    def versions(self, name: str) -> list[str]:
        if name not in self._served:
            raise self._unknown(name)
        return [str(version) for version in sorted(self._served[name])]

    def default(self) -> str:
        """Return the first loaded model's name, which /predict and /export mean when they name none."""
        if not self._served:
            raise Refusal("unknown", "no model is loaded")
        return next(iter(self._served))

    def all(self) -> list[Served]:
        return [each for versions in self._served.values() for each in versions.values()]

    def index(self) -> list[dict[str, str]]:
        """Return name, version, state and reason of all that is found on disk or loaded."""
        entries = []
        for name, found in self._found().items():
            loaded = self._served.get(name, {})
            for version in sorted({*found.versions, *loaded}):
                state = "READY" if version in loaded else "UNAVAILABLE"
                reason = self._reasons.get(name, "") or ("" if version in loaded else NOTHING)
                entries.append({"name": name, "version": str(version), "state": state, "reason": reason})
        return entries

    async def infer(
        self, served: Served, inputs: Mapping[str, np.ndarray], wanted: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Return the wanted outputs (none named: all) of checked tensors."""
        served.signature.check_request(list(inputs), wanted)
        served.signature.check_values(inputs)
        outputs = await served.batcher.answer(inputs)
        return {name: outputs[name] for name in wanted or served.signature.outputs}

    def _open(self, name: str) -> dict[int, Served]:
        found = self._found().get(name)
        if found is None:
            raise self._unknown(name)
        newest = max(found.versions)
        versions = [newest]
        if found.config_file is not None:
            versions = _config.wanted(_config.read(found.config_file), list(found.versions))
        if not versions:
            raise ArtifactError(f"{found.config_file} wants versions that are not there", next_move="mend it")
        return {
            each: opened(found, each, trust=self.trust, threads=self.threads, streams=self.streams) for each in versions
        }

    def _found(self) -> dict[str, Found]:
        """Return what lies on disk now."""
        found: dict[str, Found] = {}
        for name, folder in self.runs.items():
            found[name] = Found(name, {1: folder}, None)
        for root in self.roots:
            for name, each in repository.scan(root).items():
                if name in found:
                    raise InvalidInput(
                        [f"two models are called {name!r}"], next_move="give a run another name: NAME=RUN"
                    )
                found[name] = each
        return found

    def _unknown(self, name: str) -> Refusal:
        return Refusal("unknown", f"no model {name[:100]!r} is loaded" if self._served else "no model is loaded")


def _listed(versions: Mapping[int, Any]) -> str:
    return ", ".join(str(version) for version in sorted(versions))
