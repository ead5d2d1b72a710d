"""The keeper: one process per store that starts what waits in the queue and writes down how it ends.

It works in one loop without threads, so nothing in it may wait long. Killed at any moment, it leaves running workers and a
readable queue; the next keeper adopts both. It leaves when there is nothing to do, and when its store is gone.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path
from typing import IO

from workbench.errors import WorkbenchError
from workbench.launch import _nursery_place
from workbench.launch._order import ROOT
from workbench.queue._folder import Folder
from workbench.queue._following import Following

LOG = logging.getLogger(__name__)

IDLE_SECONDS = 60.0  # WORKBENCH_QUEUE_IDLE_SECONDS
SECONDS_BETWEEN_LOOKS = 0.02
SECONDS_TO_DELETE = 2.0  # a folder of many files
SECONDS_AFTER_TROUBLE = 1.0  # a full disk, as a rule


class Keeper:
    """Works off a queue; `lock` is its right to be the only one."""

    def __init__(self, folder: Folder, lock: IO[bytes]) -> None:
        self.folder, self.lock, self.following = folder, lock, Following(folder)
        self.idle_seconds = float(os.environ.get("WORKBENCH_QUEUE_IDLE_SECONDS", IDLE_SECONDS))
        self.last, self.warmed = time.monotonic(), time.time() - self.idle_seconds
        self.library = library_stamp()

    def keep(self) -> None:
        """Work until it is time to leave."""
        LOG.info("keeps %s", self.folder.path)
        while not self._may_leave():
            try:
                self._look()
            except (OSError, WorkbenchError) as trouble:
                LOG.warning("%s: %s", type(trouble).__name__, trouble)
                time.sleep(SECONDS_AFTER_TROUBLE)
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def _look(self) -> None:
        self.following.save()
        if self.following.has_news():
            if self.following.has_new_entries() and self.library != library_stamp():
                self._begin_anew()
            self.following.take_up()
        for happened in self.following.work.look():
            self.following.note(happened)
        self.following.save()
        self._warm_when_asked()

    def _begin_anew(self) -> None:
        """Become a keeper with the library as it now is: this one would judge new jobs by parts that were edited since."""
        if sys.platform == "win32":
            return  # replaces no process there
        LOG.info("the library was edited: begins anew")
        os.set_inheritable(self.lock.fileno(), True)
        root = str(self.folder.store.root)
        os.execv(sys.executable, [sys.executable, "-m", "workbench.queue", root, str(self.lock.fileno())])

    def _warm_when_asked(self) -> None:
        asked = self.folder.asked_to_warm()
        if asked > self.warmed:
            self.warmed, self.last = asked, time.monotonic()
            if not _nursery_place.why_not_fork():
                with _nursery_place.obtain() as link:
                    link.sendall(b'{"do": "tell"}\n')  # counts as use, so that it stays

    def _may_leave(self) -> bool:
        if not self._holds(self.folder.path / "keeper.lock"):
            LOG.info("%s is gone", self.folder.path)
            self._give_up()
            return True
        if self.following.work.busy or self.following.unsaved:
            self.last = time.monotonic()
        return time.monotonic() - self.last > self.idle_seconds and self._left()

    def _holds(self, path: Path) -> bool:
        try:
            return os.path.samestat(path.stat(), os.fstat(self.lock.fileno()))
        except FileNotFoundError:
            return False

    def _give_up(self) -> None:
        """Stop the workers when the whole store is being deleted: they have nowhere to write to."""
        until = time.monotonic() + SECONDS_TO_DELETE
        while self.folder.store.root.is_dir():
            if time.monotonic() > until:
                return  # only the queue was
            time.sleep(SECONDS_BETWEEN_LOOKS)
        self.following.work.cancel()

    def _left(self) -> bool:
        """Give the lock back where nobody can enter a job at the same moment, unless one has just been entered."""
        with self.folder.changes():
            if any(not record.finished for record in self.folder.read().values()):
                self.last = time.monotonic()
                return False
            self.lock.close()
        LOG.info("nothing to do for %g s", self.idle_seconds)
        return True


def library_stamp() -> list[tuple[str, int]]:
    """Return what changes when a file of this library does."""
    return sorted((str(path), path.stat().st_mtime_ns) for path in Path(ROOT, "workbench").rglob("*.py"))
