"""Writes the audit log without making requests wait: they are gathered for a second; what administers is a line at once."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.protect.audit import Audit

GATHER_SECONDS = 1.0
GATHER_MOST = 1000  # requests in one line
FIELDS = "key peer action model version status"  # of a gathered request; without a key it was turned away

LOG = logging.getLogger(__name__)


class Trail:
    """An audit line holds up to a second's requests, one entry each; a killed server loses the last second's.

    What the disk doesn't take stays in memory, in its order, and is tried again every second; the log of the server says so.
    """

    def __init__(self, log: Path, keys: Path) -> None:
        self._audit = Audit(log, keys)
        self._gathered: list[tuple[str, ...]] = []
        self._lines: list[tuple[str, dict[str, Any]]] = []  # event and fields, oldest first, that are not written yet
        self._writing = asyncio.Lock()

    async def write(self, event: str, **fields: Any) -> None:
        """Add one line, after the requests that came before it; raises WorkbenchError while the log can't be written."""
        async with self._writing:
            self._close_gathered()
            self._lines.append((event, fields))
            await self._flush()

    def gather(self, *fields: str) -> None:
        """Note one request, as FIELDS says."""
        self._gathered.append(fields)

    async def keep_flushing(self) -> None:
        """Run until cancelled."""
        told = ""
        while True:
            await asyncio.sleep(GATHER_SECONDS)
            async with self._writing:
                self._close_gathered()
                try:
                    await self._flush()
                    told = ""
                except (WorkbenchError, OSError) as error:
                    if str(error) != told:  # once, not every second
                        told = str(error)
                        LOG.warning("the audit log can't be written, its lines wait in memory: %s", told)

    def _close_gathered(self) -> None:
        """Make lines of the requests that were gathered."""
        while self._gathered:
            some, self._gathered = self._gathered[:GATHER_MOST], self._gathered[GATHER_MOST:]
            self._lines.append(("requests", {"fields": FIELDS, "entries": some}))

    async def _flush(self) -> None:
        while self._lines:
            event, fields = self._lines[0]
            await asyncio.to_thread(self._audit.append, event, **fields)
            del self._lines[0]
