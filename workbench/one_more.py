"""What a run's model would answer after one more step: made in memory, asked once, thrown away."""

from __future__ import annotations

import copy
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import artifact, catalog, prefix
from workbench.context import SavingContext, predict
from workbench.errors import InvalidInput, WorkbenchError
from workbench.part import Step
from workbench.states import States, final_card

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from workbench.job import Job
    from workbench.nouns import Artifact, Examples, ModelCard


class OneMore:
    """Answers `MeasureContext.changed`. Each question gets a copy of the module, so the run's own stays as it is."""

    def __init__(self, states: States, state: prefix.State, card: ModelCard, saved: Artifact) -> None:
        self.states, self.state, self.saved = states, state, saved
        self.layers = [layer.name for layer in card.layers if layer.prunable]

    def __call__(self, step: Any, split: str, layer: str) -> np.ndarray:
        """Return float32 outputs; raises InvalidInput or WorkbenchError where `MeasureContext.changed` says so."""
        import numpy as np

        made = self._made(step, layer)
        longer = replace(self.states.job, steps=(*self.states.job.steps, made), metrics=())
        self._check(longer)
        examples = getattr(self.states.splits, split)
        with self.states.said.hushed():
            self.states.said.say()
            changed = self.states.after_one_more(made, prefix.State(copy.deepcopy(self.state.model)))
            outputs = self._lowered(longer, changed, examples) if made.precision else _in_torch(changed, examples)
        if not np.isfinite(outputs).all():
            raise WorkbenchError(f"{made.name()} makes the model give NaN or infinity on the {split} split")
        return outputs

    def _made(self, step: Any, layer: str) -> Step:
        made = catalog.make("compress", step)
        assert isinstance(made, Step)
        if not layer:
            return made
        record = made.to_json()
        if "skip" not in record:
            raise InvalidInput([f"{made.name()} has no parameter skip, so it can't be tried on {layer} alone"])
        others = dict.fromkeys([*record["skip"], *made.only(layer, self.layers)])
        return self._made({**record, "skip": list(others)}, "")

    def _check(self, longer: Job) -> None:
        from workbench.describe import model_card

        if self.state.quantization:
            raise InvalidInput(["the job's own steps already decided how numbers are stored"])
        if reasons := longer.why_not(model_card(longer)):
            raise InvalidInput(reasons)

    def _lowered(self, longer: Job, changed: prefix.State, examples: Examples) -> np.ndarray:
        """Save as the longer job would, open again, predict; weights that are still the run's own need no new export."""
        job, splits, card = self.states.job, self.states.splits, final_card(longer)
        with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
            ctx = SavingContext(card, {}, splits.calibration, changed.quantization, job.seed)
            is_same = _same_weights(changed.model, self.state.model)
            if is_same and job.format.lower_again(Path(self.saved.folder), Path(folder), ctx):
                return predict(job.format.open(Path(folder)), examples)
            saved = artifact.save(longer, card, changed, splits, Path(folder))
            self.states.said.say()  # saving takes seconds: stop here if asked to
            return predict(artifact.open_session(saved), examples)


def _same_weights(one: nn.Module, other: nn.Module) -> bool:
    import torch

    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def _in_torch(changed: prefix.State, examples: Examples) -> np.ndarray:
    from workbench.train import predict as predict_in_torch

    return predict_in_torch(changed.model, examples)
