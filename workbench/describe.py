"""The card of any job's model, also of models that only show themselves once they are built.

Such a card is made by a fresh process (so that torch never enters the caller) and kept under the hash of what made it.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import orjson

from workbench.job import Job, digest
from workbench.launch import _fresh
from workbench.machine import versions
from workbench.nouns import Layer, ModelCard, TensorSpec
from workbench.prefix import own_files


def model_card(job: Job) -> ModelCard:
    """Return the card before the first step; raises WorkbenchError when the model can't be built."""
    data = job.data.card()
    if not job.model.card_needs_module:
        return job.model.card(data)
    key = digest([job.model.to_json(), job.data.to_json(), own_files(job.model), versions()])
    kept = _folder() / f"{key}.json"
    if not kept.exists():
        answer = _fresh.call("card", {"model": job.model.to_json(), "data": job.data.to_json()})
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(f".{os.getpid()}")
        partial.write_bytes(orjson.dumps(answer))
        partial.replace(kept)
    return from_json(orjson.loads(kept.read_bytes()))


def from_json(record: dict[str, Any]) -> ModelCard:
    """Read a card that was written with `dataclasses.asdict`."""
    specs = {key: tuple(_spec(each) for each in record[key]) for key in ("inputs", "outputs")}
    layers = tuple(Layer(**{**each, "weight_shape": tuple(each["weight_shape"])}) for each in record["layers"])
    return ModelCard(**{**record, **specs, "layers": layers, "notes": tuple(record["notes"])})


def _spec(record: dict[str, Any]) -> TensorSpec:
    return TensorSpec(record["name"], record["dtype"], tuple(record["shape"]))


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path(tempfile.gettempdir()) / "workbench-cards") / "workbench-cards"
