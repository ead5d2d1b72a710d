"""A job as pure JSON: model + data + steps + format + metrics. Says why it can't be done before anything runs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from workbench import catalog
from workbench.errors import InvalidInput
from workbench.nouns import SCHEMA, ModelCard
from workbench.params import did_you_mean
from workbench.part import TRAINED_AT_ONCE, Data, Format, Launcher, Layout, Metric, Model, Part, Step

DEFAULT_METRICS = ("size", "quality", "latency", "memory")
KEYS = ("schema", "model", "data", "steps", "format", "metrics", "seed", "layout", "launcher")


@dataclass(frozen=True)
class Job:
    """What to do, completely. Two equal jobs have one `job_id`; how it is launched is not part of it."""

    model: Model
    data: Data
    steps: tuple[Step, ...]
    format: Format
    metrics: tuple[Metric, ...]
    launcher: Launcher
    seed: int = 0
    layout: Layout | None = None  # None = one process trains

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Job:
        """Read a job; raises InvalidInput that lists every problem at once."""
        if not isinstance(record, Mapping):
            raise InvalidInput([f"a job is a JSON object, given {type(record).__name__}"])
        problems = [f"unknown key {key!r}{did_you_mean(key, KEYS)}" for key in record if key not in KEYS]
        if record.get("schema", SCHEMA) != SCHEMA:
            problems.append(f"schema {record['schema']!r} is not {SCHEMA}: made by another version of the workbench")
        problems += [f"{key} is missing" for key in ("model", "data") if not record.get(key)]
        seed = record.get("seed", 0)
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
            problems.append(f"seed: {seed!r} is not a whole number in 0 ≤ seed < 2**31")
        made: dict[str, list[Part]] = {}
        wanted = {
            "model": ("zoo", [record.get("model")]),
            "data": ("data", [record.get("data")]),
            "steps": ("compress", record.get("steps") or []),
            "format": ("formats", [record.get("format") or "onnx"]),
            "metrics": ("measure", record.get("metrics") or DEFAULT_METRICS),
            "layout": ("layout", [record.get("layout")]),
            "launcher": ("launch", [record.get("launcher") or "process"]),
        }
        for key, (family, entries) in wanted.items():
            made[key] = []
            if not isinstance(entries, list | tuple):
                problems.append(f"{key}: expected a list, given {entries!r}")
                continue
            for index, entry in enumerate(entries):
                if entry is None:
                    continue
                place = f"{key}[{index}]" if key in ("steps", "metrics") else key
                try:
                    made[key].append(catalog.make(family, entry, where=place))
                except InvalidInput as error:
                    problems += error.problems
        if problems:
            raise InvalidInput(problems, next_move="workbench parts lists what there is")
        return cls(
            model=made["model"][0],  # type: ignore[arg-type]
            data=made["data"][0],  # type: ignore[arg-type]
            steps=tuple(made["steps"]),  # type: ignore[arg-type]
            format=made["format"][0],  # type: ignore[arg-type]
            metrics=tuple(made["metrics"]),  # type: ignore[arg-type]
            launcher=made["launcher"][0],  # type: ignore[arg-type]
            seed=seed,
            layout=next(iter(made["layout"]), None),  # type: ignore[arg-type]
        )

    def to_json(self) -> dict[str, Any]:
        """Return the whole job with every default filled in."""
        return {
            "schema": SCHEMA,
            "model": self.model.to_json(),
            "data": self.data.to_json(),
            "steps": [step.to_json() for step in self.steps],
            "format": self.format.to_json(),
            "metrics": [metric.to_json() for metric in self.metrics],
            "seed": self.seed,
            "layout": self.layout.to_json() if self.layout else None,
            "launcher": self.launcher.to_json(),
        }

    @property
    def job_id(self) -> str:
        """Name of the model and 10 hex digits of the hash of everything but the launcher."""
        record = {key: value for key, value in self.to_json().items() if key != "launcher"}
        return f"{slug(self.model.name())}-{digest(record)}"

    def cards(self, card: ModelCard) -> list[ModelCard]:
        """Return the card before the first step and after each step."""
        cards = [card]
        for step in self.steps:
            cards.append(self._card_after(step, cards[-1]))
        return cards

    def why_not(self, card: ModelCard | None = None) -> list[str]:
        """Return every reason against this job; empty means it can run.

        `card` is given when only a worker could make it; None lets the model make its own where it can.
        """
        tried = [step for _, step in self._tried()]
        picked = (self.model, self.data, *self.steps, self.format, *self.metrics, *tried, self.launcher)
        picked += (self.layout,) if self.layout else ()
        reasons = list(dict.fromkeys(reason for part in picked for reason in part.missing()))
        if reasons:
            return reasons
        data_card = self.data.card()
        reasons += self.launcher.why_not() + self._why_not_launched() + self.model.why_not(data_card)
        for metric in self.metrics:
            reasons += [f"metric {metric.name()}: {reason}" for reason in metric.why_not(data_card)]
            if metric.decodes and not self.format.decodes:
                reasons.append(
                    f"metric {metric.name()}: {self.format.name()} keeps nothing between tokens, hugging_face does"
                )
        if card is None and not reasons and not self.model.card_needs_module:
            card = self.model.card(data_card)
        return reasons if card is None else reasons + self._why_not_steps(card) + self._why_not_tried(card)

    def _why_not_launched(self) -> list[str]:
        """Return reasons against this launcher and layout together: several processes need a layout, and a layout them."""
        num = self.launcher.num_processes
        if self.layout is None:
            several = (
                f"launcher {self.launcher.name()} starts {num} processes, and without a layout one does all the work"
            )
            return [f"{several}: add a layout, as in data_parallel"] if num > 1 else []
        if num == 1:
            name = f"layout {self.layout.name()}"
            return [f"{name}: launcher {self.launcher.name()} starts one process; several come with torchrun nproc=2"]
        spreading = [step for step in self.steps if step.spreads]
        if not spreading:
            return [f"layout {self.layout.name()}: no step here trains over several processes, leave it out"]
        return []

    def _why_not_spread(self, step: Step, card: ModelCard) -> list[str]:
        """Return reasons against a step under this job's layout, on a model as the card says."""
        if self.layout is None or self.launcher.num_processes == 1:
            return []
        reasons = step.why_not_spread(self.layout.extents(self.launcher.num_processes))
        if step.spreads:
            batch_size = getattr(step, "batch_size", TRAINED_AT_ONCE)
            against = self.layout.why_not(card, num_processes=self.launcher.num_processes, batch_size=batch_size)
            reasons = reasons + [f"layout {self.layout.name()}: {reason}" for reason in against]
        return reasons

    def _why_not_steps(self, card: ModelCard) -> list[str]:
        reasons: list[str] = []
        decided = ""  # the precision step that came before
        for index, step in enumerate(self.steps):
            where = f"steps[{index}] {step.name()}"
            if decided and not step.precision:
                reasons.append(
                    f"{where}: {decided} already decided how numbers are stored; put {step.name()} before it"
                )
            reasons += [f"{where}: {reason}" for reason in step.why_not(card) + self._why_not_spread(step, card)]
            if step.precision:
                decided = step.name()
            reasons += [f"{where}: {reason}" for reason in self._why_not_replacement(step)]
            card = self._card_after(step, card)
        against = self.format.why_not(card)
        if card.kv_precision != "float" and not self.format.decodes:
            against = [
                *against,
                f"its files keep nothing between tokens, so no {card.kv_precision}; choose hugging_face",
            ]
        return reasons + [f"format {self.format.name()}: {reason}" for reason in against]

    def _tried(self) -> list[tuple[Metric, Step]]:
        """Return the further steps that metrics try after the job's own."""
        made = [(metric, catalog.make("compress", record)) for metric in self.metrics for record in metric.tries()]
        return [(metric, step) for metric, step in made if isinstance(step, Step)]

    def _why_not_tried(self, card: ModelCard) -> list[str]:
        """Return reasons against such steps, beyond those against the job itself."""
        known, reasons = self._why_not_steps(card), dict[str, None]()
        for metric, step in self._tried():
            longer = replace(self, steps=(*self.steps, step))
            against = [reason for reason in longer._why_not_steps(card) if reason not in known]
            reasons |= dict.fromkeys(f"metric {metric.name()}: {reason}" for reason in against)
        return list(reasons)

    def _card_after(self, step: Step, card: ModelCard) -> ModelCard:
        """Return the card after a step; a model that takes another's place brings its own, where it can without a worker."""
        record = step.replacement()
        if isinstance(record, dict) and not self._why_not_replacement(step):
            model = catalog.make("zoo", record)
            assert isinstance(model, Model)
            return step.preview(card) if model.card_needs_module else model.card(self.data.card())
        return step.preview(card)

    def _why_not_replacement(self, step: Step) -> list[str]:
        record = step.replacement()
        if not isinstance(record, dict):
            return []
        model = catalog.make("zoo", record)
        assert isinstance(model, Model)
        return model.missing() + model.why_not(self.data.card())

    def relatives(self) -> tuple[Job | None, Job | None]:
        """Return the jobs of (parent, reference): as trained in this format, and as trained in ONNX; None = itself.

        A metric that tries further steps is not for them; without any other they get the default metrics.
        """
        num_leading = next((i for i, step in enumerate(self.steps) if not step.trains), len(self.steps))
        if self.steps and not num_leading and not self.model.pretrained:
            return None, None  # there was never a trained model to compare with
        metrics = tuple(metric for metric in self.metrics if not metric.tries())
        metrics = metrics or _default_metrics()
        onnx = catalog.make("formats", "onnx")
        is_parent, is_onnx = num_leading == len(self.steps), self.format == onnx
        parent = replace(self, steps=self.steps[:num_leading], metrics=metrics)
        if not any(step.spreads for step in parent.steps):  # then one process is enough
            parent = replace(parent, layout=None, launcher=catalog.make("launch", "process"))  # type: ignore[arg-type]
        whole = tuple(metric for metric in metrics if not metric.decodes)  # ONNX files don't go on from a text
        reference = replace(parent, format=onnx, metrics=whole or _default_metrics())  # type: ignore[arg-type]
        return None if is_parent else parent, None if is_parent and is_onnx else reference

    def recipe(self) -> str:
        """Return the steps in a few words, for a table or a chart."""
        return " → ".join(step.describe() for step in self.steps) or "as it comes"


def _default_metrics() -> tuple[Metric, ...]:
    return tuple(catalog.make("measure", name) for name in DEFAULT_METRICS)  # type: ignore[misc]


def digest(record: Any) -> str:
    """Return 10 hex digits of the sha256 of a record's canonical JSON."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def slug(text: str) -> str:
    """Return `text` as a safe piece of a file name."""
    return re.sub(r"[^a-z0-9_]+", "_", text.lower()).strip("_")
