"""What a step, a format and a metric get handed: everything they may know, nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from workbench.errors import WorkbenchError
from workbench.machine import Quiet
from workbench.nouns import Artifact, DataCard, Examples, ModelCard, Quantization, Splits
from workbench.part import Session
from workbench.recorder import Recorder

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from workbench.spread import Spread

PREDICT_BATCH = 128


@dataclass
class StepContext:
    """The `ctx` of `Step.run` (see `part.Context`)."""

    data: Splits
    data_card: DataCard
    seed: int
    recorder: Recorder
    load_model: Callable[[Any, int], nn.Module]  # (ref, epochs) → trained module
    build_model: Callable[[Any], nn.Module]
    quantization: dict[str, Quantization] = field(default_factory=dict)
    controls: dict[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    spread: Callable[[Path], Spread] | None = None  # over the processes of the job; None = this one trains alone
    checkpoints: Path | None = None  # of trainings that haven't ended; None = a step that keeps none
    _num_trained: int = 0

    def say(self, text: str = "", **progress: Any) -> None:
        self.recorder.say(text, **progress)

    def cancelled(self) -> bool:
        return self.recorder.cancelled()

    def train(self, model: nn.Module, **options: Any) -> dict[str, float]:
        from workbench.spread import Spread
        from workbench.train import fit

        self._num_trained += 1
        folder = self.checkpoints / str(self._num_trained) if self.checkpoints else None
        spread = self.spread(folder) if self.spread and folder else Spread(folder)
        examples = options.pop("examples", self.data.train)
        return fit(model, examples, seed=self.seed, say=self.say, spread=spread, **options)

    def weights(self, model: nn.Module) -> list[tuple[str, Tensor]]:
        from workbench.train import prunable

        return [(name, cast("Tensor", module.weight)) for name, module in prunable(model)]

    def quantize(self, layer: str, how: Quantization) -> None:
        self.quantization[layer] = how

    def control(self, name: str, model: nn.Module) -> None:
        from workbench.train import predict

        self.controls[name] = {
            f"{split}_outputs": predict(model, getattr(self.data, split)) for split in ("validation", "test")
        }

    def load(self, ref: Any, *, epochs: int = 0) -> nn.Module:
        return self.load_model(ref, epochs)

    def build(self, ref: Any) -> nn.Module:
        return self.build_model(ref)


@dataclass
class SavingContext:
    """The `ctx` of `Format.save` (see `part.SaveContext`)."""

    card: ModelCard
    example: Mapping[str, np.ndarray]
    calibration: Examples
    quantization: Mapping[str, Quantization]
    seed: int


@dataclass
class MeasuringContext:
    """The `ctx` of `Metric.measure` (see `part.MeasureContext`)."""

    artifact: Artifact
    parent: Artifact | None
    reference: Artifact | None
    data: Splits
    data_card: DataCard
    folder: Path
    seed: int
    recorder: Recorder
    quiet: Quiet
    opener: Callable[[Artifact, int], Session]
    starter: Callable[..., Any]  # of a fresh process
    changer: Callable[..., np.ndarray]  # (step, split, layer) → outputs
    layers: tuple[str, ...] = ()
    _outputs: dict[str, Any] = field(default_factory=dict)

    def open(self, artifact: Artifact, *, threads: int = 1) -> Session:
        return self.opener(artifact, threads)

    def fresh(
        self, function: str, artifacts: list[Artifact], *, threads: int = 1, decoding: bool = False, **options: Any
    ) -> Any:
        with self.starter(function, artifacts, threads=threads, options=options, decoding=decoding) as process:
            return process.answer()

    def prepare(self, function: str, artifacts: list[Artifact], *, threads: int = 1, **options: Any) -> Any:
        return self.starter(function, artifacts, threads=threads, options=options)

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[dict[str, Any]]:
        self.say("waiting for a quiet machine")
        with self.quiet.exclusive() as told:
            yield told

    def predictions(self, split: str) -> np.ndarray:
        """Outputs are float32; a format that returns NaN fails here, with the split's name."""
        import numpy as np

        if split not in self._outputs:
            session = self.open(self.artifact)
            outputs = predict(session, getattr(self.data, split))
            if not np.isfinite(outputs).all():
                raise WorkbenchError(f"the saved model gives NaN or infinity on the {split} split")
            self._outputs[split] = outputs
        return self._outputs[split]

    def changed(self, step: Any, split: str, *, layer: str = "") -> np.ndarray:
        return self.changer(step, split, layer)

    def keep(self, file: str, **arrays: Any) -> str:
        """Add arrays to `samples/<file>` in the run folder; returns that relative path."""
        import numpy as np

        path = self.folder / "samples" / file
        path.parent.mkdir(exist_ok=True)
        before: dict[str, Any] = {}
        if path.exists():
            with np.load(path) as kept:
                before = dict(kept)
        np.savez(path, **{**before, **arrays})
        return f"samples/{file}"

    def say(self, text: str = "", **progress: Any) -> None:
        self.recorder.say(text, **progress)


def predict(session: Session, examples: Examples) -> np.ndarray:
    """Return a session's outputs on all examples, in batches."""
    import numpy as np

    starts = range(0, len(examples), PREDICT_BATCH)
    parts = (examples.take(slice(start, start + PREDICT_BATCH)) for start in starts)
    return np.concatenate([session(contiguous(part.inputs))["logits"] for part in parts])


def contiguous(inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    import numpy as np

    return {name: np.ascontiguousarray(array) for name, array in inputs.items()}
