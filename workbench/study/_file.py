"""The file format of a study, read and checked: every problem at once.

name: tradeoffs                        # required; also the title where none is given
title: What compression did to three models
data: digits                           # required: a part as text or as a mapping
format: onnx                           # of recipes that name none; default onnx
metrics: [size, quality, latency]      # default: those of a job
seeds: [0]                             # one job per seed
train: [train epochs=20]               # steps in front of every recipe's own
models:                                # required
  lenet_5:
    model: lenet_5                     # required unless the entry is itself a part
    train: [train epochs=30]           # replaces the study's for this model
    student: lenet_5 channels_1=8      # any further part, which recipes call $student
recipes:                               # required
  as trained: {}
  int8:
    steps: [magnitude_prune sparsity=0.8, train epochs=5, int8_static]
    format: fastest                    # a format, a list of them, or `fastest`: each format that can do it
  distilled:
    model: $student                    # instead of the model itself
    train: []                          # instead of the leading steps
    steps: [{use: distill, teacher: $model}]
    metrics: [size, quality]           # instead of the study's
    seeds: [0, 1, 2]                   # instead of the study's
    only: [lenet_5]                    # the models it is for; default all
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.errors import InvalidInput
from workbench.params import did_you_mean
from workbench.part_text import part_record

KEYS = ("name", "title", "data", "format", "metrics", "seeds", "train", "models", "recipes")
RECIPE_KEYS = ("steps", "format", "model", "train", "metrics", "seeds", "only")
SHIPPED = Path(__file__).parents[1] / "studies"


@dataclass(frozen=True)
class Study:
    """A checked study file; parts are records, `$name` still stands where a model's part will be put."""

    name: str
    title: str
    data: Any
    format: Any
    metrics: list[Any]
    seeds: list[int]
    train: list[Any]
    models: Mapping[str, Mapping[str, Any]]  # name → {"model": record, further parts by name, maybe "train": steps}
    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def read_study(where: str | Path) -> Study:
    """Read a YAML file, or a study that ships with the workbench by its name (`tradeoffs`, `quick`)."""
    import yaml

    path, shipped = Path(where), {file.stem: file for file in sorted(SHIPPED.glob("*.yaml"))}
    if not path.is_file() and str(where) in shipped:
        path = shipped[str(where)]
    if not path.is_file():
        hint = did_you_mean(str(where), shipped)
        raise InvalidInput([f"no study file {str(where)!r}{hint}"], next_move=f"a path, or one of {', '.join(shipped)}")
    try:
        record = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise InvalidInput([f"{path} is not YAML: {' '.join(str(error).split())}"]) from None
    return check_study(record)


def check_study(record: Any) -> Study:
    """Return the study that a record describes; raises InvalidInput with every problem of its shape."""
    if not isinstance(record, Mapping):
        raise InvalidInput([f"a study is a mapping with {', '.join(KEYS)}, given {type(record).__name__}"])
    problems = [f"unknown key {key!r}{did_you_mean(str(key), KEYS)}" for key in record if key not in KEYS]
    problems += [f"{key} is missing" for key in ("name", "data", "models", "recipes") if not record.get(key)]
    reader = _Reader(problems)
    models = {str(name): reader.model(str(name), entry) for name, entry in reader.mapping(record, "models").items()}
    recipes = {
        str(name): reader.recipe(str(name), entry, models) for name, entry in reader.mapping(record, "recipes").items()
    }
    study = Study(
        name=str(record.get("name")),
        title=str(record.get("title") or record.get("name")),
        data=reader.part("data", record.get("data"), "data"),
        format=reader.formats(record.get("format") or "onnx", "format"),
        metrics=reader.parts("measure", record.get("metrics"), "metrics"),
        seeds=reader.seeds(record.get("seeds", [0]), "seeds"),
        train=reader.parts("compress", record.get("train"), "train"),
        models=models,
        recipes=recipes,
    )
    if problems:
        raise InvalidInput(problems, next_move="the format is described in: workbench study --help")
    return study


class _Reader:
    """Turns text into records and collects what is wrong on the way."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems

    def mapping(self, record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        value = record.get(key) or {}
        if isinstance(value, Mapping):
            return value
        self.problems.append(f"{key}: expected a mapping of names, given {value!r}")
        return {}

    def part(self, family: str, value: Any, place: str) -> Any:
        """Return the record of one part; text that starts with `$` stays for later."""
        if not isinstance(value, str) or value.startswith("$"):
            return value
        try:
            return part_record(family, value, where=place)
        except InvalidInput as error:
            self.problems += error.problems
            return None

    def parts(self, family: str, value: Any, place: str) -> list[Any]:
        if value is None:
            return []
        if not isinstance(value, list):
            self.problems.append(f"{place}: expected a list, given {value!r}")
            return []
        return [self.part(family, entry, f"{place}[{index}]") for index, entry in enumerate(value)]

    def formats(self, value: Any, place: str) -> Any:
        if isinstance(value, list):
            return [self.part("formats", entry, f"{place}[{index}]") for index, entry in enumerate(value)]
        return value if value == "fastest" else self.part("formats", value, place)

    def seeds(self, value: Any, place: str) -> list[int]:
        if isinstance(value, list) and value and all(isinstance(each, int) and each >= 0 for each in value):
            return value
        self.problems.append(f"{place}: expected a list of whole numbers from 0 up, given {value!r}")
        return []

    def model(self, name: str, entry: Any) -> dict[str, Any]:
        """Return the parts of one model by the name that recipes call them by."""
        place = f"models.{name}"
        if isinstance(entry, str) or (isinstance(entry, Mapping) and "use" in entry):
            return {"model": self.part("zoo", entry, place)}
        if not isinstance(entry, Mapping) or not entry.get("model"):
            self.problems.append(f"{place}: expected a part, or a mapping with `model`, given {entry!r}")
            return {}
        found = {
            str(role): self.part("zoo", part, f"{place}.{role}") for role, part in entry.items() if role != "train"
        }
        if "train" in entry:
            found["train"] = self.parts("compress", entry["train"], f"{place}.train")
        return found

    def recipe(self, name: str, entry: Any, models: Mapping[str, Any]) -> dict[str, Any]:
        place = f"recipes.{name}"
        if not isinstance(entry, Mapping | None):
            self.problems.append(f"{place}: expected a mapping with {', '.join(RECIPE_KEYS)}, given {entry!r}")
            return {}
        entry = entry or {}
        self.problems += [
            f"{place}: unknown key {key!r}{did_you_mean(str(key), RECIPE_KEYS)}"
            for key in entry
            if key not in RECIPE_KEYS
        ]
        only = entry.get("only", list(models))
        self.problems += [
            f"{place}.only: no model {model!r}{did_you_mean(str(model), models)}"
            for model in only
            if model not in models
        ]
        found: dict[str, Any] = {"only": only, "steps": self.parts("compress", entry.get("steps"), f"{place}.steps")}
        if "model" in entry:
            found["model"] = self.part("zoo", entry["model"], f"{place}.model")
        if "train" in entry:
            found["train"] = self.parts("compress", entry["train"], f"{place}.train")
        if "metrics" in entry:
            found["metrics"] = self.parts("measure", entry["metrics"], f"{place}.metrics")
        if "seeds" in entry:
            found["seeds"] = self.seeds(entry["seeds"], f"{place}.seeds")
        if "format" in entry:
            found["format"] = self.formats(entry["format"], f"{place}.format")
        return found
