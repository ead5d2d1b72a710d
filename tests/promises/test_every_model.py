"""What holds for every model on a data set that it takes, with every format that can hold it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.promises._every import FORMATS, MODELS, carried_out_here
from tests.promises._every import record_of as sample_of
from tests.promises._stranger import open_as_a_stranger
from workbench import catalog
from workbench.artifact import in_memory, read
from workbench.describe import model_card
from workbench.job import Job
from workbench.part import Data, Model
from workbench.protect.load import gap_to_recorded
from workbench.store import Store

record_of = cache(sample_of)  # a saved sample is made once, so that runs of it share what they trained
every_model = pytest.mark.parametrize("name", MODELS)


def job_for(name: str, folder: Path, *steps: Any, format_name: str = "onnx") -> Job:
    """Return a job of the model on the first data set that it takes, trained for one epoch."""
    model = catalog.make("zoo", record_of("zoo", name, folder))
    assert isinstance(model, Model)
    record = {"model": model.to_json(), "format": {"use": format_name}, "metrics": [{"use": "size"}]}
    for data_name in ("digits", *catalog.names("data")):
        data = catalog.make("data", record_of("data", data_name, folder))
        assert isinstance(data, Data)
        if not model.why_not(data.card()):
            train = {"use": "train", "epochs": 1, "learning_rate": 1e-4}
            return Job.from_json({**record, "data": data.to_json(), "steps": [train, *steps]})
    raise AssertionError(f"no data set for {name}")


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("samples")


@every_model
def test_its_card_agrees_with_the_module(name: str, samples: Path) -> None:
    job = job_for(name, samples)
    card, module = model_card(job), job.model.build(job.data.card())
    assert sum(parameter.numel() for parameter in module.parameters()) == card.num_params
    modules = dict(module.named_modules())
    for layer in card.layers:
        if layer.kind == "other":  # position tables and class tokens are bare parameters of their module
            assert layer.name in modules
            continue
        assert tuple(modules[layer.name].weight.shape) == layer.weight_shape, layer.name


@pytest.mark.slow
@every_model
@pytest.mark.parametrize("format_name", FORMATS)
def test_its_artifact_opens_for_a_stranger_and_from_memory(
    name: str, format_name: str, samples: Path, shared_store: Store
) -> None:
    job = job_for(name, samples, format_name=format_name)
    if reasons := job.why_not(model_card(job)):
        assert all(len(reason) > 8 for reason in reasons)
        return
    run = carried_out_here(job, shared_store)
    assert run.status == "done", (run.error or {}).get("traceback")
    artifact = read(Path(run.folder) / run.artifact)
    ended = open_as_a_stranger(artifact)
    assert ended.returncode == 0, ended.stderr
    folder = Path(artifact.folder)
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert gap_to_recorded(in_memory(folder, files)) <= artifact.card["probe"]["tolerance"]


@pytest.mark.slow
@every_model
def test_int8_lies_in_the_file(name: str, samples: Path, shared_store: Store) -> None:
    """Really int8 is what is stored, not what is said."""
    for step in ("int8_dynamic", "int8_static"):
        job = job_for(name, samples, {"use": step})
        if reasons := job.why_not(model_card(job)):
            assert all(len(reason) > 8 for reason in reasons)
            continue
        run = carried_out_here(job, shared_store)
        assert run.status == "done", (run.error or {}).get("traceback")
        assert "int8" in read(Path(run.folder) / run.artifact).card["precision"]["weights"]
