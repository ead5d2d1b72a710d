"""Writes the audit log without making requests wait: they are gathered for a second; what administers is a line at once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from workbench.protect.audit import Audit

GATHER_SECONDS = 1.0
GATHER_MOST = 1000  # requests in one line
FIELDS = "key peer action model version status"  # of a gathered request; without a key it was turned away


class Trail:
    """An audit line holds up to a second's requests, one entry each; a killed server loses the last second's."""

    def __init__(self, log: Path, keys: Path) -> None:
        self._audit = Audit(log, keys)
        self._gathered: list[tuple[str, ...]] = []
        self._writing = asyncio.Lock()

    async def write(self, event: str, **fields: Any) -> None:
        """Add one line, after the requests that came before it."""
        async with self._writing:
            await self._flush()
            await asyncio.to_thread(self._audit.append, event, **fields)

    def gather(self, *fields: str) -> None:
        """Note one request, as FIELDS says."""
        self._gathered.append(fields)

    async def keep_flushing(self) -> None:
        """Run until cancelled."""
        while True:
            await asyncio.sleep(GATHER_SECONDS)
            async with self._writing:
                await self._flush()

    async def _flush(self) -> None:
        while self._gathered:
            some, self._gathered = self._gathered[:GATHER_MOST], self._gathered[GATHER_MOST:]
            await asyncio.to_thread(self._audit.append, "requests", fields=FIELDS, entries=some)
