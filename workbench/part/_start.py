"""Families `launch` and `layout`: how workers start, and how a training is spread over them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.extents import Extents
from workbench.nouns import ModelCard
from workbench.part._part import Part

if TYPE_CHECKING:
    from workbench.spread import Spread


class Launcher(Part):
    """Family `launch`: how a worker starts. It gets a job file and a store, and knows nothing of what is in them."""

    family = "launch"

    @property
    def num_processes(self) -> int:
        """How many processes join in one job; those of a launcher that says 1 can't be spread over."""
        return 1

    def why_not(self) -> list[str]:
        """Return reasons against starting anything so; empty means yes."""
        return []

    def num_places(self) -> int | None:
        """Return how many jobs fit side by side; None = that is for whoever starts them to say.

        Raises InvalidInput where not one fits, or there is nothing to start it on.
        """
        return None

    @property
    def updates_between_checkpoints(self) -> int:
        """How often what a training needs to go on is written; 0 = never."""
        return 0

    def preview(self, draft: Path, store: Path) -> str:
        """Return what `submit` would hand to an engine, as text; empty where this machine starts processes itself."""
        return ""

    def submit(self, draft: Path, store: Path) -> Any:
        """Start a worker on `draft` (which holds job.json); returns a handle with `poll()`, `wait()`, `cancel()`."""
        raise NotImplementedError


class Layout(Part):
    """Family `layout`: how the training of one model is spread over the processes of a job."""

    family = "layout"

    def extents(self, num_processes: int) -> Extents:
        """Return how many ways each axis splits over so many processes; what isn't right `why_not` says."""
        raise NotImplementedError

    def why_not(self, card: ModelCard, *, num_processes: int, batch_size: int) -> list[str]:
        """Return reasons against training this model so, with `batch_size` examples in an update of all processes."""
        raise NotImplementedError

    def rank_bytes(
        self, card: ModelCard, *, num_processes: int, batch_size: int, optimizer: str
    ) -> list[dict[str, float]]:
        """Return the bytes that each process will need, by part, at the fullest moment of an update; rank 0 first."""
        raise NotImplementedError

    def traffic(self, card: ModelCard, *, num_processes: int, batch_size: int) -> dict[str, tuple[float, float]]:
        """Return (bytes, calls) that each process sends for one update, by axis."""
        raise NotImplementedError

    def spread(self, folder: Path, *, every: int) -> Spread:
        """Return what the training loop asks; torch.distributed is initialised by then, with every process in it.

        Checkpoints of a training that hasn't ended are in `folder`, whatever layout it began under; one is written `every`
        so many updates.
        """
        raise NotImplementedError
