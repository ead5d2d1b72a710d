"""Family `measure`: quantities of saved artifacts, and what they are measured with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from workbench.nouns import Artifact, DataCard, Measurement, Splits
from workbench.part._part import Part, Session

if TYPE_CHECKING:
    import numpy as np


class MeasureContext(Protocol):
    """What a metric gets: artifacts, never modules."""

    artifact: Artifact
    parent: Artifact | None  # same model as trained, same format; None when this run is it, or there is none
    reference: Artifact | None  # that model's fp32 ONNX; None when this run is it, or there is none
    data: Splits
    data_card: DataCard
    folder: Path  # the run folder: samples go to folder/"samples"
    seed: int
    layers: tuple[str, ...]  # prunable ones after the job's own steps, in the model's order

    def open(self, artifact: Artifact, *, threads: int = 1) -> Session: ...

    def fresh(
        self, function: str, artifacts: list[Artifact], *, threads: int = 1, decoding: bool = False, **options: Any
    ) -> Any:
        """Call `module:function(sessions, **options)` in a new process; `sessions` open the artifacts lazily.

        With `decoding` they open them as decoders.
        """

    def prepare(self, function: str, artifacts: list[Artifact], *, threads: int = 1, **options: Any) -> Any:
        """Start such a process (a context manager) whose function is a generator that yields when it is prepared.

        `wait_until_ready()` returns at the yield; `answer()` lets it go on and returns its value.
        """

    def exclusive(self) -> Any:
        """Context manager: hold the machine-wide lock; yields a dict that says whether we were alone."""

    def predictions(self, split: str) -> np.ndarray:
        """Return the artifact's outputs on a split (computed once per run)."""
        ...

    def changed(self, step: Any, split: str, *, layer: str = "") -> np.ndarray:
        """Return outputs on a split after one more step (a part or its record), which is not saved.

        With `layer` the step skips every other one. A precision step is really lowered by the job's format; any other is
        tried in torch. Raises InvalidInput with the reasons against that step, WorkbenchError when it changed nothing.
        """
        ...

    def keep(self, file: str, **arrays: Any) -> str:
        """Add arrays to `samples/<file>` of the run; returns that relative path for `samples_in`."""

    def say(self, text: str = "", *, done: int = 0, total: int = 0, unit: str = "") -> None: ...


class Metric(Part):
    """Family `measure`: one quantity (or a few that come from one measurement) of a saved artifact."""

    family = "measure"
    decodes: ClassVar[bool] = False  # measures going on token by token: only of files in formats that do

    def why_not(self, data: DataCard) -> list[str]:
        return []

    def tries(self) -> list[dict[str, Any]]:
        """Return records of further steps that it tries (`ctx.changed`), for the job to refuse beforehand.

        Such a metric looks at this job alone: parent and reference are carried out without it.
        """
        return []

    def measure(self, ctx: MeasureContext) -> list[Measurement]:
        raise NotImplementedError
