"""Every part that the catalog finds, made with small working parameters. No list to edit when a part is added."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench import bench, catalog
from workbench.job import Job
from workbench.nouns import Run
from workbench.part import FAMILIES, Part
from workbench.store import DRAFT, Store

EVERY = [(family, name) for family in FAMILIES for name in catalog.names(family)]
STEPS = catalog.names("compress")
FORMATS = catalog.names("formats")
MODELS = catalog.names("zoo")

SMALL_LENET = {"use": "lenet_5", "channels_1": 8, "channels_2": 16, "hidden": 32}
SMALL_VIT = {"use": "vit", "layers": 1, "width": 32, "heads": 4}
SMALL_LM = {"use": "tiny_lm", "layers": 1, "width": 16, "heads": 2, "ffn": 32}
DIGITS, TEXT = {"use": "digits"}, {"use": "python_source", "length": 32, "num_examples": 200}
SMALL_CNN = {"use": "small_cnn", "width": 8, "blocks": 1}
PLACES = (
    {"model": SMALL_LENET, "data": DIGITS},
    {"model": SMALL_CNN, "data": DIGITS},
    {"model": SMALL_VIT, "data": DIGITS},
    {"model": SMALL_LM, "data": TEXT},
)


def record_of(family: str, name: str, folder: Path) -> dict[str, Any]:
    """Return a part's record with its sample parameters."""
    return {"use": name, **catalog.get(family, name).sample(folder)}


def made(family: str, name: str, folder: Path) -> Part:
    return catalog.make(family, record_of(family, name, folder))


def place_for(step: Any) -> dict[str, Any]:
    """Return the first small model, with its data, that a step can be made on at all."""
    made_step = catalog.make("compress", step)
    able = [place for place in PLACES if not made_step.why_not(card_of(place))]  # type: ignore[attr-defined]
    return able[0] if able else PLACES[0]


def card_of(place: Any) -> Any:
    data = catalog.make("data", place["data"]).card()  # type: ignore[attr-defined]
    return catalog.make("zoo", place["model"]).card(data)  # type: ignore[attr-defined]


def small_job(*steps: Any, **changes: Any) -> Job:
    """Return a job on a small LeNet-5 that trains two epochs and then does `steps`."""
    record = {
        "model": SMALL_LENET,
        "data": {"use": "digits"},
        "steps": [{"use": "train", "epochs": 2}, *steps],
        "format": {"use": "onnx"},
        "metrics": [{"use": "size"}],
    }
    return Job.from_json({**record, **changes})


def carried_out_here(job: Job, store: Store) -> Run:
    """Do what a worker does, in this process: the same code, without the cost of starting one."""
    if (done := store.find(job.job_id)) is not None:
        return done
    bench.check(job)
    draft = store.begin(job.job_id, job.to_json())
    with _own_signals():
        bench.work(draft, store.root)
    return store.get(draft.name.removeprefix(DRAFT))


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before):
            signal.signal(number, handler)
