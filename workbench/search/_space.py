"""What a search may try: up to two changes in either order, a recovery, a precision, a format, and how strong each is.

Which values of which parameters are tried is declared by each part (`searched`); what no format can hold is left out first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from workbench import catalog
from workbench.diagnose import apply_level
from workbench.job import Job
from workbench.nouns import ModelCard, Run
from workbench.params import describe
from workbench.part import Step
from workbench.search._levels import Levels, levels_of

NONE = "none"
SLOTS = ("change_1", "change_2")
EPOCH_SHARES = (0.25, 0.5, 1.0)  # of the training of the model as it is: how long a changed one recovers

Options = Mapping[str, tuple[Any, ...]]
Record = dict[str, Any]


class Chooser(Protocol):
    """Whoever decides: picks one of the options that stand behind a name."""

    def choose(self, name: str, options: Sequence[Any]) -> Any: ...


@dataclass(frozen=True)
class Space:
    """Names are those of parts; the options of each are values by parameter."""

    changes: Mapping[str, Options]
    precisions: Mapping[str, Options]
    formats: Mapping[str, Options]
    recoveries: Mapping[str, tuple[Record, ...]]  # by step: its record for few, more and many epochs
    layers: tuple[str, ...] = ()  # prunable ones, in order
    levels: Mapping[str, Levels] = field(default_factory=dict)  # by step: what a sensitivity run says of each layer
    left_out: Mapping[str, str] = field(default_factory=dict)  # name → why no recipe has it

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Space:
        families = {
            name: {part: {key: tuple(values) for key, values in options.items()} for part, options in record[name].items()}
            for name in ("changes", "precisions", "formats")
        }  # fmt: skip
        return cls(
            **families, layers=tuple(record["layers"]), left_out=record["left_out"],
            recoveries={name: tuple(steps) for name, steps in record["recoveries"].items()},
            levels={name: Levels(**each) for name, each in record["levels"].items()},
        )  # fmt: skip


def space_of(
    base: Job, card: ModelCard, runs: Sequence[Run], *, only: Sequence[str] = (), formats: Sequence[str] = ()
) -> Space:
    """Return what can be tried on the model that `base` trains; `only` and `formats` name the parts to keep to (empty: all)."""
    left_out: dict[str, str] = {}
    changes: dict[str, Options] = {}
    precisions: dict[str, Options] = {}
    usable = [name for name in catalog.names("formats") if not formats or name in formats]
    for part in catalog.parts("compress"):
        assert issubclass(part, Step)
        if recovers(part) or (only and part.name() not in only):
            continue
        if reason := _without_default(part) or _never(base, card, part, usable):
            left_out[part.name()] = reason
        else:
            (precisions if part.precision else changes)[part.name()] = dict(part.searched)
    holding: dict[str, Options] = {}
    for name in usable:
        reasons = [_why_not(replace(base, steps=steps), card, name) for steps in _samples(base, precisions)]
        if all(reasons):
            left_out[name] = reasons[0]
        else:
            holding[name] = dict(catalog.get("formats", name).searched)
    tried = {*changes, *precisions}
    return Space(
        changes, precisions, holding, _recoveries(base), tuple(layer.name for layer in card.layers if layer.prunable),
        {name: found for name, found in levels_of(base, runs).items() if name in tried}, left_out,
    )  # fmt: skip


def steps_and_format(space: Space, base: Job, chooser: Chooser) -> tuple[list[Record], Record]:
    """Return the steps after the base's own, and the format, as `chooser` decides; legal or not."""
    steps: list[Record] = []
    for slot in SLOTS:
        if (name := chooser.choose(slot, (NONE, *space.changes))) == NONE:
            break
        steps += _written(space, space.changes, name, chooser)
    if steps and space.recoveries:
        recovery = space.recoveries[chooser.choose("recovery", tuple(space.recoveries))]
        steps.append(recovery[chooser.choose("epochs", tuple(range(len(recovery))))])
    if (name := chooser.choose("precision", (NONE, *space.precisions))) != NONE:
        steps += _written(space, space.precisions, name, chooser)
    written = chooser.choose("format", tuple(space.formats))
    options = space.formats[written].items()
    return steps, {"use": written, **{key: chooser.choose(f"{written}.{key}", values) for key, values in options}}


def recovers(part: type[Step]) -> bool:
    """Say whether a step is for training or teaching whatever it gets: a search uses it after a change, never as one."""
    return part.trains or part.recovery.__func__ is not Step.recovery.__func__  # type: ignore[attr-defined]


def _written(space: Space, family: Mapping[str, Options], name: str, chooser: Chooser) -> list[Record]:
    """Return the step, or one for each level where layers differ."""
    levels = space.levels.get(name)
    differ = levels and chooser.choose(f"{name}.strengths", ("alike", "per layer")) == "per layer"
    values = {
        key: chooser.choose(f"{name}.{key}", options)
        for key, options in family[name].items()
        if not (levels and differ and key == levels.parameter)
    }
    if not levels or not differ:
        return [{"use": name, **values}]
    tolerance = chooser.choose(f"{name}.tolerance", levels.tolerances())
    steps: list[Record] = []
    for layer, level in levels.within(tolerance).items():
        if layer in space.layers:
            steps = apply_level(
                steps, layer=layer, step_name=name, parameter=levels.parameter, level=level, layers=space.layers
            )
    return [{**record, **values} for record in steps]


def _recoveries(base: Job) -> dict[str, tuple[Record, ...]]:
    longest = max((getattr(step, "epochs", 0) for step in base.steps), default=0)
    if not longest:
        return {}
    lengths = sorted({max(1, round(share * longest)) for share in EPOCH_SHARES})
    found: dict[str, tuple[Record, ...]] = {}
    for part in sorted(catalog.parts("compress"), key=lambda each: not each.trains):  # type: ignore[attr-defined]
        assert issubclass(part, Step)
        records = tuple(part.recovery(base.model, base.steps, epochs) for epochs in lengths)
        if all(records):
            found[part.name()] = records  # type: ignore[assignment]
    return found


def _without_default(part: type[Step]) -> str:
    """Return which values a search would have to make up; empty when there are none."""
    required = [spec.name for spec in describe(part) if spec.required]
    return f"{', '.join(required)} has no default" if required else ""


def _never(base: Job, card: ModelCard, part: type[Step], formats: Sequence[str]) -> str:
    """Return why no format holds the model after this step at any strength; empty when one does."""
    reasons = []
    for record in _at_each_end(part):
        step = catalog.make("compress", record)
        for name in formats:
            reasons.append(_why_not(replace(base, steps=(*base.steps, step)), card, name))  # type: ignore[arg-type]
            if not reasons[-1]:
                return ""
    return reasons[0]


def _at_each_end(part: type[Step]) -> list[Record]:
    """Return the step at its weakest, its strongest, and as it comes where that is all there is."""
    ends = [{key: values[end] for key, values in part.searched.items()} for end in (0, -1)]
    return [{"use": part.name(), **values} for values in ends]


def _samples(base: Job, precisions: Mapping[str, Options]) -> list[tuple[Step, ...]]:
    """Return the base's steps alone and before each precision."""
    found = [base.steps]
    for name in precisions:
        part = catalog.get("compress", name)
        assert issubclass(part, Step)
        step = catalog.make("compress", _at_each_end(part)[0])
        found.append((*base.steps, step))  # type: ignore[arg-type]
    return found


def _why_not(job: Job, card: ModelCard, written: str) -> str:
    made = replace(job, format=catalog.make("formats", written))  # type: ignore[arg-type]
    return "; ".join(made.why_not(card))
