"""What a lesson reads instead of waiting for it: small, whole, without weights, and answering as the runs did."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from workbench import compare, exchange, marks, study
from workbench.cli import app
from workbench.errors import InvalidInput
from workbench.lessons import catalog, stored
from workbench.lessons.exercise import Lesson
from workbench.nouns import Run
from workbench.store import Store

STORED = [each for each in catalog.lessons() if each.stored]
MOST_BYTES = 2.5e6  # it lies in git
STUDY = study.check_study(
    {"name": "two", "data": "digits", "models": {"A": "lenet_300_100"}, "recipes": {"plain": {}, "int8": {"steps": ["int8_static"]}}}
)  # fmt: skip


@pytest.mark.parametrize("lesson", STORED, ids=lambda each: each.number)
def test_a_stored_study_is_whole_small_and_without_weights(lesson: Lesson) -> None:
    source = stored.FOLDER / f"{lesson.stored}.zip"
    runs = stored.runs_of(lesson.stored)
    assert len(runs) >= 60 and set(runs) == set(study.labels(stored.study_of(lesson.stored)).values())
    with zipfile.ZipFile(source) as archive:
        kinds = {name.split("/")[2] for name in archive.namelist() if name.startswith("runs/")}
    assert kinds == {"run.json", "samples"} and source.stat().st_size <= MOST_BYTES


@pytest.mark.parametrize("lesson", STORED, ids=lambda each: each.number)
def test_its_answers_are_those_that_its_records_count(lesson: Lesson) -> None:
    for run in list(stored.runs_of(lesson.stored).values())[::5]:
        for split in ("validation", "test"):
            told = run.get("accuracy", split=split)
            with np.load(Path(run.folder) / "samples" / "predictions.npz") as kept:
                right = kept[f"{split}_outputs"].argmax(1) == kept[f"{split}_targets"]
            assert told and (right.sum(), len(right)) == (told.k, told.n)
    plain, other = list(stored.runs_of(lesson.stored).values())[:2]
    assert compare.compare_runs(plain, other).accuracy is not None


def _made(store: Store, outputs: np.ndarray) -> list[Run]:
    """Publish a run for each job of the study, with a weight file and these outputs."""
    made = []
    for job in study.expand(STUDY):
        draft = store.begin(job.job_id, job.to_json())
        (draft / "artifact").mkdir()
        (draft / "artifact" / "model.onnx").write_bytes(b"weights")
        (draft / "samples").mkdir()
        np.savez(draft / "samples" / "predictions.npz", test_outputs=outputs, test_targets=np.array([1, 0]))
        run_id = draft.name.removeprefix(".draft-")
        made.append(store.publish(draft, Run(run_id, job.job_id, "done", job.to_json(), artifact="artifact/")))
    return made


def test_packing_leaves_weights_and_no_answer_changes(store: Store, tmp_path: Path) -> None:
    near = np.array([[1.0, 1.0001, 0.9], [5.0, 4.0, 3.0]], np.float32)  # the first two are one number in 16 bits
    target = stored.pack(STUDY, _made(store, near), tmp_path / "two.zip")
    other = Store(tmp_path / "other")
    assert len(exchange.import_runs(other, target).added) == 2
    assert sorted(each.note for each in marks.read_all(other).values()) == ["A | int8", "A | plain"]
    for run in other.runs():
        with np.load(Path(run.folder) / "samples" / "predictions.npz") as kept:
            assert kept["test_outputs"].dtype == np.float16 and kept["test_outputs"].argmax(1).tolist() == [1, 0]
        assert not (Path(run.folder) / "artifact").exists()


def test_a_study_with_a_failure_is_not_stored(store: Store, tmp_path: Path) -> None:
    first, second = _made(store, np.eye(2, 3, dtype=np.float32))
    with pytest.raises(InvalidInput, match="int8 is failed"):
        stored.pack(STUDY, [first, replace(second, status="failed")], tmp_path / "two.zip")
    assert not (tmp_path / "two.zip").exists()


def test_a_lesson_without_stored_runs_says_so() -> None:
    done = CliRunner().invoke(app, ["instructor", "rebuild", "01"])
    assert done.exit_code == 2 and "reads no stored runs" in done.output and "05" in done.output
    with pytest.raises(InvalidInput, match="no stored study"):
        stored.study_of("other")
