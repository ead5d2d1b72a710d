"""What holds for every step, also with every format that it can be combined with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.promises._every import FORMATS, STEPS, carried_out_here, made, place_for, record_of, small_job
from tests.promises._stranger import open_as_a_stranger
from workbench import catalog
from workbench.artifact import largest_gap, open_session, read
from workbench.nouns import Artifact, Run
from workbench.params import build, describe
from workbench.part import Step
from workbench.store import Store

every_step = pytest.mark.parametrize("name", STEPS)


def plan(name: str, folder: Path, format_name: str) -> Any:
    record = record_of("compress", name, folder)
    return small_job(record, format={"use": format_name}, **place_for(record))


def refused(name: str, folder: Path, format_name: str) -> list[str]:
    from workbench.describe import model_card

    job = plan(name, folder, format_name)
    return job.why_not(model_card(job))


@every_step
def test_reasons_are_words_and_no_weights_are_needed(name: str, tmp_path: Path) -> None:
    step = catalog.make("compress", record_of("compress", name, tmp_path))
    assert isinstance(step, Step)
    job = small_job()
    card = job.model.card(job.data.card())
    reasons = step.why_not(card)
    assert isinstance(reasons, list)
    assert all(isinstance(reason, str) and len(reason) > 8 for reason in reasons)
    assert step.preview(card).inputs == card.inputs
    assert step.describe()


@every_step
@pytest.mark.parametrize("other", STEPS)
def test_it_is_previewed_after_any_other_step_legal_there_or_not(name: str, other: str, tmp_path: Path) -> None:
    """The recipe builder shows an estimate beside the reasons, so an illegal recipe has a card too."""
    job = small_job()
    card = made("compress", other, tmp_path).preview(job.model.card(job.data.card()))
    for variant in _choices(name, tmp_path):
        assert isinstance(variant.why_not(card), list)
        assert [layer.name for layer in variant.preview(card).layers]


def _choices(name: str, folder: Path) -> Iterator[Step]:
    """Yield the step's sample, then with one choice at a time made otherwise."""
    part, sample = catalog.get("compress", name), catalog.get("compress", name).sample(folder)
    for change in [{}, *({spec.name: choice} for spec in describe(part) for choice in spec.choices)]:
        step = build(part, {**sample, **change})
        assert isinstance(step, Step)
        yield step


@every_step
def test_some_format_can_hold_its_result(name: str, tmp_path: Path) -> None:
    refusals = {format_name: refused(name, tmp_path, format_name) for format_name in FORMATS}
    assert any(not reasons for reasons in refusals.values()), refusals


@pytest.mark.slow
@every_step
@pytest.mark.parametrize("format_name", FORMATS)
def test_its_artifact_opens_for_a_stranger_and_gives_the_recorded_output(
    name: str, format_name: str, tmp_path: Path, shared_store: Store
) -> None:
    if reasons := refused(name, tmp_path, format_name):
        assert all(len(reason) > 8 for reason in reasons)
        return
    run = carried_out_here(plan(name, tmp_path, format_name), shared_store)
    assert run.status == "done", (run.error or {}).get("traceback")
    artifact = read(Path(run.folder) / run.artifact)
    ended = open_as_a_stranger(artifact)
    assert ended.returncode == 0, ended.stderr
    assert "gap to the recorded output" in ended.stdout


@every_step
def test_it_changes_something(name: str, tmp_path: Path, shared_store: Store) -> None:
    """Either the outputs or what is stored differ from the same model without the step."""
    usable = [format_name for format_name in FORMATS if not refused(name, tmp_path, format_name)]
    job = plan(name, tmp_path, usable[0])
    with_step = carried_out_here(job, shared_store)
    without = carried_out_here(
        small_job(format={"use": usable[0]}, model=job.model.to_json(), data=job.data.to_json()), shared_store
    )
    assert _output_gap(with_step, without) > 0 or _stored(with_step) != _stored(without)


def _stored(run: Run) -> Any:
    return read(Path(run.folder) / run.artifact).card["precision"]


def _output_gap(one: Run, other: Run) -> float:
    import numpy as np

    artifacts = [read(Path(run.folder) / run.artifact) for run in (one, other)]
    with np.load(Path(artifacts[0].folder) / "probe.npz") as probe:
        inputs = {each["name"]: probe[f"input_{each['name']}"] for each in artifacts[0].card["inputs"]}
    outputs = [open_session(artifact)(inputs)["logits"] for artifact in artifacts]
    return largest_gap(*outputs)


@pytest.mark.slow
@every_step
def test_the_same_job_twice_gives_the_same_weights(name: str, tmp_path: Path) -> None:
    """Seeds come from the job alone: two stores that know nothing of each other agree."""
    usable = [format_name for format_name in FORMATS if not refused(name, tmp_path, format_name)]
    job = plan(name, tmp_path, usable[0])
    runs = [carried_out_here(job, Store(tmp_path / place)) for place in ("one", "two")]
    assert [run.status for run in runs] == ["done", "done"]
    assert _output_gap(*runs) == 0.0


@pytest.mark.parametrize(("package", "expected"), [("pandas", 1), ("workbench", 1), ("onnxruntime", 0)])
def test_a_stranger_sees_only_what_an_artifact_needs(package: str, expected: int, tmp_path: Path) -> None:
    """The check itself can fail: all three are installed here, and a stranger must not see the first two."""
    (tmp_path / "load.py").write_text(f"import {package}\n")
    ended = open_as_a_stranger(Artifact(str(tmp_path), {"format": "onnx", "needs": {"numpy": "", "onnxruntime": ""}}))
    assert ended.returncode == expected, ended.stderr
    assert ("ModuleNotFoundError" in ended.stderr) == bool(expected)
