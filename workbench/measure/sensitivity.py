"""How much each layer suffers when a step is tried on it alone, at several strengths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationInfo, field_validator

from workbench.errors import Cancelled, InvalidInput, WorkbenchError
from workbench.nouns import Measurement
from workbench.params import PartRef, build, describe, did_you_mean, param
from workbench.part import MeasureContext, Metric, Part

SPLIT = "validation"  # thresholds are chosen from it; test stays for what was chosen


class Sensitivity(Metric):
    """Nothing is trained after the step, so this is the damage before recovery. Only the validation split is read.

    `sensitivity_drop`: points of accuracy (language models: per cent of perplexity), paired over the same examples with
    the unchanged artifact. `sensitivity_kl`: mean KL(unchanged ‖ changed) over examples; it tells layers apart long
    before a few hundred answers do. Samples, by step and parameter: layers, levels, kl, and correct or nll, (cells, n).
    """

    title = "Sensitivity of each layer"
    source = "one layer at a time: Han et al., arXiv 1506.02626, section 3 and fig. 6; Li et al., arXiv 1608.08710"

    step: PartRef = param({"use": "magnitude_prune"}, help="Step tried on one layer at a time", part="compress")
    parameter: str = param("sparsity", help="Parameter of the step that is its strength; empty when it has none")
    levels: list[float] = param(
        [0.3, 0.5, 0.7, 0.8, 0.9, 0.95], help="Values of that parameter; none when the step has no strength"
    )

    @field_validator("levels")
    @classmethod
    def _some_levels(cls, levels: list[float], info: ValidationInfo) -> list[float]:
        if not levels and info.data.get("parameter"):
            raise ValueError("at least one value is needed")
        if levels and info.data.get("parameter") == "":
            raise ValueError("without a parameter the step has one strength: leave levels empty")
        if len(set(levels)) < len(levels):
            raise ValueError("the same value twice")
        return levels

    def problems_with(self, nested: Mapping[str, Part]) -> list[str]:
        """Check that the step can be tried on one layer, and has this parameter with these values."""
        step = nested.get("step")
        if step is None:
            return [f"step: a step is needed, given {self.step!r}"]
        specs = {spec.name: spec for spec in describe(type(step))}
        if "skip" not in specs:
            return [f"step: {step.name()} has no parameter skip, so it can't be tried on one layer alone"]
        if not self.parameter:
            return []
        numbers = [name for name, spec in specs.items() if spec.kind in ("int", "float")]
        if self.parameter not in numbers:
            near = did_you_mean(self.parameter, numbers) or f"; it has {', '.join(numbers) or 'none: leave it empty'}"
            return [f"parameter: {step.name()} has no number {self.parameter!r}{near}"]
        return [problem for level in self.levels for problem in self._against(step, level)]

    def _against(self, step: Part, level: float) -> list[str]:
        try:
            build(type(step), {**step.model_dump(), self.parameter: level})
        except InvalidInput as error:
            return [f"levels: {problem}" for problem in error.problems]
        return []

    def tries(self) -> list[dict[str, Any]]:
        return [self._record(level) for level in self._strengths()[:1]]

    def measure(self, ctx: MeasureContext) -> list[Measurement]:
        from workbench.measure import _sensitivity

        judge = _sensitivity.Judge(ctx, SPLIT)
        wanted = [(layer, level) for layer in ctx.layers if layer not in self._skip() for level in self._strengths()]
        cells = []
        for done, (layer, level) in enumerate(wanted):
            ctx.say(self._place(layer, level), done=done, total=len(wanted), unit="cells")
            outputs = self._outputs(ctx, layer, level)
            if outputs is not None:
                cells.append(judge.cell(self._where(layer, level), outputs))
        ctx.say("all layers tried", done=len(wanted), total=len(wanted), unit="cells")
        if not cells:
            raise WorkbenchError(
                f"{self._name()} can't be tried on any layer alone", next_move="the log gives the reason for each"
            )
        file = _sensitivity.keep(ctx, f"{self._name()}_{self.parameter}".strip("_"), cells, judge)
        return [each for cell in cells for each in _sensitivity.measurements(cell, file)]

    def _outputs(self, ctx: MeasureContext, layer: str, level: float | None) -> Any:
        """Return the outputs with one layer changed; None, said in the log, when the step can't take it."""
        try:
            return ctx.changed(self._record(level), SPLIT, layer=layer)
        except Cancelled:
            raise
        except WorkbenchError as error:
            ctx.say(f"left out {self._place(layer, level)}: {error.message}")
            return None

    def _where(self, layer: str, level: float | None) -> dict[str, Any]:
        return {"layer": layer, "step": self._name(), "parameter": self.parameter, "level": level, "split": SPLIT}

    def _strengths(self) -> list[Any]:
        return list(self.levels) if self.parameter else [None]

    def _record(self, level: float | None) -> dict[str, Any]:
        assert isinstance(self.step, dict)
        return {**self.step, self.parameter: level} if self.parameter else self.step

    def _skip(self) -> list[str]:
        return self.step["skip"] if isinstance(self.step, dict) else []

    def _name(self) -> str:
        return str(self.step["use"]) if isinstance(self.step, dict) else ""

    def _place(self, layer: str, level: float | None) -> str:
        return f"{layer}, {self._name()}" + (f" {self.parameter} {level:g}" if level is not None else "")
