"""What was copied gives the same jobs again, whatever they are made of."""

from __future__ import annotations

import ast
import shlex
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import yaml
from hypothesis import HealthCheck, given, reject, settings
from typer.testing import CliRunner

from workbench import bench, catalog, copy_as
from workbench.cli import app
from workbench.errors import InvalidInput
from workbench.job import Job
from workbench.params import ParamSpec, describe
from workbench.part import FAMILIES, Part
from workbench.part_text import part_record, part_short, part_words
from workbench.study import check_study, expand

EVERY = [(family, name) for family in FAMILIES for name in catalog.names(family)]
STUDENT = {"use": "lenet_300_100", "hidden_1": 12}
MANY: list[dict[str, Any]] = [
    {},
    {"model": {"use": "resnet", "depth": 8}, "seed": 7},
    {"steps": [{"use": "train", "epochs": 3, "learning_rate": 1e-05}], "format": "pt2"},
    {"steps": ["train", {"use": "distill", "student": STUDENT, "alpha": 0.3}], "metrics": ["size"]},
    {"steps": ["train", {"use": "distill", "teacher": {"use": "resnet", "depth": 26}}]},
    {"steps": ["train", {"use": "distill", "teacher": "lenet_5", "teacher_epochs": 1}]},
    {"steps": ["train", {"use": "distill", "student": "run:lenet_5-0123456789-01"}]},
    {"steps": ["train", {"use": "magnitude_prune", "sparsity": 0.1 + 0.2, "skip": ["fc1", "fc2"]}, "train"]},
    {"steps": ["train", {"use": "gradient_prune", "sparsity": 0.5}, "int8_static"]},
    {"metrics": ["size", "quality", {"use": "latency", "batch": 32, "threads": 2}], "seed": 2**31 - 1},
    {"data": {"use": "digits", "fold": 1}},
]


def job_of(**changes: Any) -> Job:
    return Job.from_json({"model": "lenet_5", "data": "digits", "steps": ["train"], **changes})


@pytest.fixture
def carried(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """The jobs that `workbench run` would have carried out."""
    found: list[Job] = []

    def remember(job: Job, *_: Any, **__: Any) -> Any:
        found.append(job)
        raise InvalidInput(["not carried out in this test"])

    monkeypatch.setattr(bench, "carry_out", remember)
    return found


def ids_of_cell(text: str) -> list[str]:
    """Return the ids of the jobs that a cell lists."""
    listed = next(node for node in ast.parse(text).body if ast.unparse(node).startswith("jobs ="))
    return [Job.from_json(record).job_id for record in ast.literal_eval(listed.value)]  # type: ignore[attr-defined]


def ids_of_study(text: str) -> set[str]:
    return {job.job_id for job in expand(check_study(yaml.safe_load(text)))}


def run_command(line: str, folder: Path) -> None:
    words, _, below = line.partition("<<'JSON'\n")
    split = shlex.split(words)
    assert split[:2] == ["workbench", "run"]
    if below:
        (folder / "job.json").write_text(below.removesuffix("JSON"))
        split = [str(folder / "job.json") if word == "/dev/stdin" else word for word in split]
    CliRunner().invoke(app, split[1:])


@pytest.mark.parametrize("changes", MANY, ids=str)
def test_every_way_of_copying_gives_the_same_job(changes: dict[str, Any], carried: list[Job], tmp_path: Path) -> None:
    job = job_of(**changes)
    assert ids_of_cell(copy_as.python_cell([job], "runs")) == [job.job_id]
    run_command(copy_as.command(job, tmp_path / "a store"), tmp_path)
    assert [each.job_id for each in carried] == [job.job_id]
    relatives = {each.job_id for each in job.relatives() if each}
    assert ids_of_study(copy_as.study_yaml([job], "copied")) == {job.job_id} | relatives


def test_a_layout_and_its_launcher_are_copied_along(carried: list[Job], tmp_path: Path) -> None:
    job = job_of(layout={"use": "sharded", "accumulate": 2}, launcher={"use": "torchrun", "nproc": 4})
    text = copy_as.command(job, tmp_path)
    assert "--layout 'sharded accumulate=2' --launcher 'torchrun nproc=4'" in text
    run_command(text, tmp_path)
    assert [(each.job_id, each.launcher) for each in carried] == [(job.job_id, job.launcher)]
    assert ids_of_cell(copy_as.python_cell([job], "runs")) == [job.job_id]


def test_the_json_of_a_job_is_read_by_the_command_line(carried: list[Job], tmp_path: Path) -> None:
    job = job_of(seed=3, format="pt2")
    (tmp_path / "job.json").write_text(copy_as.job_json(job))
    CliRunner().invoke(app, ["run", str(tmp_path / "job.json")])
    assert [each.job_id for each in carried] == [job.job_id]


def test_many_jobs_of_several_models_make_one_study() -> None:
    changes = [each for each in MANY if "data" not in each]
    jobs = [job_of(**{"model": model, **each}) for each in changes for model in ("lenet_5", "lenet_300_100")]
    jobs += [job_of(seed=seed) for seed in (1, 2)]
    relatives = {each.job_id for job in jobs for each in job.relatives() if each}
    assert ids_of_study(copy_as.study_yaml(jobs, "all")) == {job.job_id for job in jobs} | relatives
    assert ids_of_cell(copy_as.python_cell(jobs, "runs")) == [job.job_id for job in jobs]


def test_what_all_recipes_share_stands_once() -> None:
    jobs = [
        job_of(steps=["train", {"use": "magnitude_prune", "sparsity": each}], metrics=["size"]) for each in (0.5, 0.7)
    ]
    record = yaml.safe_load(copy_as.study_yaml(jobs, "two"))
    assert record["metrics"] == ["size"] and record["models"] == {"lenet_5": "lenet_5"}
    assert [list(recipe) for recipe in record["recipes"].values()] == [["steps"], ["steps"]]


def test_defaults_are_left_out() -> None:
    assert copy_as.command(job_of(), "runs") == "workbench run --model lenet_5 --data digits --step train --store runs"
    assert "epochs" not in copy_as.python_cell([job_of()], "runs")
    nested = catalog.make("compress", {"use": "distill", "student": STUDENT, "alpha": 0.3})
    assert part_words(nested) == "distill student.use=lenet_300_100 student.hidden_1=12 alpha=0.3"


def test_jobs_on_two_data_sets_make_no_study() -> None:
    with pytest.raises(InvalidInput, match="one data set"):
        copy_as.study_yaml([job_of(), job_of(data={"use": "digits", "fold": 1})], "two")


def test_nothing_is_not_copied() -> None:
    with pytest.raises(InvalidInput, match="no job to copy"):
        copy_as.python_cell([], "runs")


def test_a_store_with_blanks_and_quotes_survives_the_shell() -> None:
    store = "/tmp/it's a store"
    assert shlex.split(copy_as.command(job_of(), store))[-1] == store
    words = shlex.split(copy_as.batch_command("/tmp/my study.yaml", store))
    assert words[:3] == ["workbench", "batch", "run"]
    assert f"store_folder={store}" in words and "study_file=/tmp/my study.yaml" in words
    assert "study_file=quick" in copy_as.batch_command("quick", store)


@pytest.mark.parametrize("name", ["a,b", "x"])
def test_a_list_that_words_cannot_spell_is_copied_as_json(name: str, carried: list[Job], tmp_path: Path) -> None:
    job = job_of(steps=["train", {"use": "magnitude_prune", "skip": [name]}])
    line = copy_as.command(job, tmp_path)
    assert ("<<'JSON'" in line) == ("," in name)
    run_command(line, tmp_path)
    assert carried[0].job_id == job.job_id


def test_a_job_that_cannot_run_makes_no_study() -> None:
    with pytest.raises(InvalidInput, match="no layer 'x'"):
        copy_as.study_yaml([job_of(steps=["train", {"use": "magnitude_prune", "skip": ["x"]}])], "odd")


@pytest.mark.parametrize(("family", "name"), EVERY)
def test_words_give_back_the_sample_of_every_part(family: str, name: str, tmp_path: Path) -> None:
    part = catalog.make(family, {"use": name, **catalog.get(family, name).sample(tmp_path)})
    for record in (part_record(family, part_words(part)), part_short(part)):
        assert catalog.make(family, record).to_json() == part.to_json()


def values_of(spec: ParamSpec) -> st.SearchStrategy[Any]:
    """Return legal values of a parameter, as far as its declaration says what is legal."""
    low = spec.ge if spec.ge is not None else spec.gt
    high = spec.le if spec.le is not None else spec.lt
    text = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=6)
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "bool": st.booleans(),
        "int": st.integers(int(low or 0), int(high if high is not None else 10**9)),
        "float": st.floats(float(low or 0), float(high if high is not None else 1e9), allow_nan=False),
        "choice": st.sampled_from(spec.choices) if spec.choices else st.none(),
        "list": st.lists(text, max_size=3),
        "mapping": st.dictionaries(text, st.one_of(st.integers(), st.booleans(), text, st.none()), max_size=2),
        "str": text,
        "part": st.just("lenet_5"),
    }
    return st.one_of(st.just(spec.default), st.none() if spec.optional else st.nothing(), kinds[spec.kind])


@st.composite
def parts_of(draw: st.DrawFn, family: str) -> Part:
    cls = catalog.get(family, draw(st.sampled_from(catalog.names(family))))
    values = {spec.name: draw(values_of(spec)) for spec in describe(cls)}
    try:
        return catalog.make(family, {"use": cls.name(), **values})
    except InvalidInput:  # the part holds more than its declaration says
        reject()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(data=st.data(), family=st.sampled_from(tuple(FAMILIES)))
def test_words_give_back_any_part_or_say_that_they_cannot(data: st.DataObject, family: str) -> None:
    part = data.draw(parts_of(family))
    assert catalog.make(family, part_short(part)).to_json() == part.to_json()
    try:
        words = part_words(part)
    except InvalidInput as error:
        assert "can't be written as words" in error.problems[0]
        return
    assert catalog.make(family, part_record(family, words)).to_json() == part.to_json()
