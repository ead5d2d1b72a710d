"""A job's model before, between and after its steps: each state made from the one before, or kept from another job."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import catalog, prefix, ranks
from workbench.context import StepContext
from workbench.errors import InvalidInput, WorkbenchError
from workbench.job import Job
from workbench.machine import Quiet
from workbench.nouns import ModelCard, Splits
from workbench.part import Model, Step
from workbench.ranks import Ranks
from workbench.recorder import Recorder
from workbench.store import Store

if TYPE_CHECKING:
    from torch import nn

    from workbench.spread import Spread


class States:
    """Brings a job's model through its steps, from the longest prefix that is kept."""

    def __init__(
        self,
        job: Job,
        splits: Splits,
        data_sha256: str,
        store: Store,
        said: Recorder,
        quiet: Quiet,
        *,
        within: str = "",
        team: Ranks = ranks.ALONE,
    ) -> None:
        self.job, self.splits, self.data_sha256 = job, splits, data_sha256
        self.store, self.said, self.quiet, self.within, self.team = store, said, quiet, within, team
        self.cache = prefix.PrefixCache(store.root)
        self.keys = prefix.keys(job.model, data_sha256, job.steps, job.seed, job.layout)
        self.seeds = prefix.seeds(job.model, job.data, job.steps, job.seed)
        self.cached: list[str] = []
        self._reached: tuple[int, prefix.State] | None = None  # None = nothing was made together

    def need_nobody(self) -> bool:
        """Say whether the leader can go on alone: no step is spread, or what the last such step makes is kept from before."""
        return not self._num_together or any(self.cache.has(key) for key in self.keys[self._num_together :])

    def go_together(self) -> None:
        """Go through the steps up to the last one that is spread, every process of the job with the others."""
        self._reached = self._num_together, self._after(self._num_together)

    @property
    def _num_together(self) -> int:
        """How many steps it takes to the end of the last one that is spread."""
        return max((index + 1 for index, step in enumerate(self.job.steps) if self._is_spread(step)), default=0)

    def after_all(self) -> prefix.State:
        """Return the state after the last step (owned by the caller)."""
        return self._after(len(self.job.steps))

    def after_one_more(self, step: Step, state: prefix.State) -> prefix.State:
        """Return what a further step makes of a state (given up by the caller), seeded as in the longer job; nothing is kept."""
        longer = replace(self.job, steps=(*self.job.steps, step))
        states = States(longer, self.splits, self.data_sha256, self.store, self.said, self.quiet, within=self.within)
        return states._stepped(len(self.job.steps), state)

    def _after(self, count: int) -> prefix.State:
        """Return the state after `count` steps, from the cache or made from the one before."""
        if count == 0:
            return self._built()
        if self._reached and self._reached[0] == count:
            (_, reached), self._reached = self._reached, None
            return reached
        name = f"{self.within}steps[{count - 1}].{self.job.steps[count - 1].name()}"
        with self._making(self.keys[count]):
            state = self._kept(self.keys[count])
            if state is not None:
                self.said.say(f"{name} is kept from before")
                self.said.seconds.setdefault(name, 0.0)
                self.cached.append(name)
                return state
            state = self._after(count - 1)
            with self.said.piece(name):
                return self._made(count - 1, state)

    def _making(self, key: str) -> contextlib.AbstractContextManager[None]:
        return self.cache.making(key, self.quiet.aside) if self.team.leads else contextlib.nullcontext()

    def _kept(self, key: str) -> prefix.State | None:
        """Return a state that is kept from before, the same answer on every process."""
        state = self.cache.get(key) if self.team.leads else None
        is_kept = self.team.agree(state is not None)
        return state if self.team.leads or not is_kept else self._handed_over(key)

    def _made(self, index: int, state: prefix.State) -> prefix.State:
        """Run one step and keep what it makes: on every process where it is spread, else the leader does for all."""
        if self.team.leads or self._is_spread(self.job.steps[index]):
            state = self._stepped(index, state)
        key = self.keys[index + 1]
        if self.team.leads:
            self.cache.put(key, state)
        self.team.agree(None)
        return state if self.team.leads else self._handed_over(key)

    def _handed_over(self, key: str) -> prefix.State:
        state = self.cache.get(key)
        if state is None:
            raise WorkbenchError(
                f"rank {self.team.rank} can't read the state that rank 0 has just written to {self.cache.root}",
                next_move="use a store that every host shares, or raise WORKBENCH_CACHE_BYTES",
            )
        return state

    def _is_spread(self, step: Step) -> bool:
        return self.job.layout is not None and step.spreads

    def _built(self) -> prefix.State:
        with self.said.piece(f"{self.within}build"):
            return prefix.State(build_seeded(self.job.model, self.job, self.seeds[0]))

    def _stepped(self, index: int, state: prefix.State) -> prefix.State:
        """Run one step on a state that this call owns."""
        import torch

        step = self.job.steps[index]
        _refuse_no_numbers(state.model, step)
        ctx = StepContext(
            self.splits, self.job.data.card(), self.seeds[index + 1], self.said,
            load_model=self._load, build_model=self._build,
            quantization=state.quantization, controls=state.controls,
            spread=self._spread if self.team.size > 1 and self._is_spread(step) else None,
            checkpoints=self._checkpoints(index) if step.spreads else None,
        )  # fmt: skip
        torch.manual_seed(self.seeds[index + 1])
        model = step.run(state.model, ctx)
        return prefix.State(model.eval(), ctx.quantization, ctx.controls)

    def _spread(self, folder: Path) -> Spread:
        assert self.job.layout is not None
        return self.job.layout.spread(folder, every=self.job.launcher.updates_between_checkpoints)

    def _checkpoints(self, index: int) -> Path:
        """Return where an unfinished step leaves what it can go on from, under this layout or another."""
        job = self.job
        key = prefix.keys(job.model, self.data_sha256, job.steps[: index + 1], job.seed)[-1]
        return self.cache.root / f"{key}.training"

    def _build(self, ref: Any) -> nn.Module:
        model = catalog.make("zoo", ref)
        assert isinstance(model, Model)
        if reasons := model.why_not(self.job.data.card()):
            raise InvalidInput(reasons)
        return model.build(self.job.data.card())

    def _load(self, ref: Any, epochs: int) -> nn.Module:
        """Return a trained model for a step: that of a run, or a zoo part trained for `epochs` first."""
        if isinstance(ref, str) and ref.startswith("run:"):
            other = Job.from_json(self.store.get(ref.removeprefix("run:")).job)
            if other.data.to_json() != self.job.data.to_json():
                raise InvalidInput(
                    [f"{ref} was trained on {other.data.to_json()}, this job is on {self.job.data.to_json()}"]
                )
            job = replace(other, steps=tuple(step for step in other.steps if not step.precision))
        else:
            steps = [{"use": "train", "epochs": epochs}] if epochs else []
            job = Job.from_json({**self.job.to_json(), "model": ref, "steps": steps})
        within = f"{self.said.part} → {job.model.name()} "
        inner = States(
            job, self.splits, self.data_sha256, self.store, self.said, self.quiet, within=within, team=self.team
        )
        return inner.after_all().model


def _refuse_no_numbers(model: nn.Module, step: Step) -> None:
    """Raise WorkbenchError when a tensor of the model that `step` would change holds NaN or infinity."""
    for name, parameter in model.named_parameters():
        if parameter.is_floating_point() and not parameter.isfinite().all():
            raise WorkbenchError(
                f"{name} holds NaN or infinity, so {step.name()} can't go on from it",
                next_move="train with a lower learning_rate, or mend the weights that were loaded",
            )


def build_seeded(model: Model, job: Job, seed: int) -> nn.Module:
    """Return the untrained module, the same one for the same seed."""
    import torch

    torch.manual_seed(seed)
    return model.build(job.data.card()).eval()


def final_card(job: Job) -> ModelCard:
    """Return the card after the last step; a model that hides its structure starts from its described card."""
    from workbench.describe import model_card

    return job.cards(model_card(job))[-1]


def data_hash(splits: Splits) -> str:
    """Return the sha256 over names and bytes of all arrays of all splits."""
    import numpy as np

    found = hashlib.sha256()
    for split in ("train", "validation", "calibration", "test"):
        examples = getattr(splits, split)
        for name, array in [*examples.inputs.items(), ("targets", examples.targets)]:
            found.update(f"{split}.{name}:{array.dtype}{array.shape}".encode())
            found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()
