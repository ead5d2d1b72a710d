"""Each command, as a person or a program uses it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.calling import ARGUMENTS, NARROW, call, ids, read
from workbench import bench, catalog, ceilings
from workbench.job import Job
from workbench.store import Store


def test_parts_lists_every_family_with_parameters_for_programs() -> None:
    families = read("parts")["families"]
    assert set(families) == {"zoo", "data", "compress", "formats", "measure", "launch", "layout"}
    train = next(part for part in families["compress"] if part["name"] == "train")
    epochs = next(each for each in train["parameters"] if each["name"] == "epochs")
    assert (epochs["kind"], epochs["default"], epochs["unit"], epochs["ge"]) == ("int", 20, "epochs", 1)


def test_parts_of_a_family_shows_what_each_parameter_means() -> None:
    said = call("parts", "compress").stdout
    assert "sparsity" in said
    assert "Share of weights set to zero" in said
    assert "0 ≤ sparsity < 1" in said


def test_an_unknown_family_is_bad_input_with_a_suggestion() -> None:
    assert "did you mean 'formats'?" in call("parts", "format", code=2).stderr


def test_run_prints_intervals_and_the_path_of_the_artifact(runs: Store) -> None:
    result = call("run", *ARGUMENTS, "--store", runs.root)
    assert "accuracy" in result.stdout
    assert " to " in result.stdout
    assert f"{runs.root}/{ids(runs)[0]}/artifact" in result.stdout


def test_run_gives_the_record_to_programs(runs: Store) -> None:
    record = read("run", *ARGUMENTS, "--store", runs.root)
    assert record["run_id"] == ids(runs)[0]
    assert record["status"] == "done"
    assert {"accuracy", "artifact_bytes"} <= {each["name"] for each in record["measurements"]}
    assert Path(record["folder"]).is_dir()


def test_run_of_a_file_and_of_its_options_is_one_job(runs: Store, tmp_path: Path) -> None:
    job = json.loads((Path(runs.get(ids(runs)[1]).folder) / "job.json").read_text())
    (tmp_path / "job.json").write_text(json.dumps(job))
    assert read("run", tmp_path / "job.json", "--store", runs.root)["run_id"] == ids(runs)[1]


def test_run_says_all_problems_at_once() -> None:
    said = call(
        "run", "--model", "lenet_6", "--data", "digts", "--step", "train epoch=3", "--step", "x=", "--format", "onx",
        "--metrics", "size,qualit", code=2,
    ).stderr  # fmt: skip
    assert "6 problems" in said
    for near in ("lenet_5", "digits", "epochs", "onnx", "quality"):
        assert f"did you mean '{near}'" in said


def test_run_refuses_what_cannot_be_combined_before_anything_runs(tmp_path: Path) -> None:
    said = call("run", *ARGUMENTS, "--step", "bfloat16", "--store", tmp_path / "none", code=2).stderr
    assert "format onnx" in said
    assert not (tmp_path / "none").exists()


def test_the_fastest_format_is_found_and_the_others_are_told_why(tmp_path: Path) -> None:
    job = [
        *ARGUMENTS[:-1],
        "size,quality",
        "--metrics",
        "latency pairs=6 restarts=1 singles=30",
        "--step",
        "int8_dynamic",
    ]
    store = Store(tmp_path / "runs")
    found = read("run", *job, "--format", "fastest", "--store", store.root)
    winner = store.get(found["winner"])
    assert winner.job["format"]["use"] == found["format"]
    others = {rival["format"]: rival for rival in found["rivals"]}
    assert all(rival["ratio"] is not None for rival in others.values())
    assert {found["format"], *others, *found["refused"]} == set(catalog.names("formats"))
    said = call("run", *job, "--format", "fastest", "--store", store.root).stdout
    assert f"fastest format of train 1 → int8 dynamic: {found['format']}" in said
    assert "pt2 can't hold it" in said or "hugging_face can't hold it" in said


def test_the_fastest_of_no_format_is_refused_with_every_reason(tmp_path: Path) -> None:
    impossible = ["--step", "int8_static", "--step", "weight_only bits=4"]
    said = call("run", *ARGUMENTS, *impossible, "--format", "fastest", "--store", tmp_path / "none", code=2).stderr
    assert "int8" in said and "error" in said
    assert "is several jobs" in call("estimate", *ARGUMENTS, "--format", "fastest", code=2).stderr


def test_run_of_a_file_takes_no_further_options(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text("{}")
    assert "leave out model" in call("run", tmp_path / "job.json", "--model", "lenet_5", code=2).stderr
    assert "is not JSON" in call("run", Path(__file__), code=2).stderr
    assert "No such file" in call("run", tmp_path / "nothing.json", code=2).stderr


def test_a_failed_run_ends_with_one_and_its_reason(tmp_path: Path) -> None:
    nothing = ["--step", "magnitude_prune sparsity=0.5", "--step", "magnitude_prune sparsity=0.1"]
    result = call("run", *ARGUMENTS, *nothing, "--store", tmp_path / "runs", code=1)
    assert "set no further weight to zero" in result.stdout
    assert "→" in result.stdout


def test_nested_parts_are_dotted(monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.errors import RunFailed

    seen: list[Job] = []

    def note(job: Job, *_: Any, **__: Any) -> None:
        seen.append(job)
        raise RunFailed("far enough")

    monkeypatch.setattr(bench, "carry_out", note)
    call("run", *ARGUMENTS, "--step", "distill teacher.use=resnet teacher.depth=18 epochs=2", code=1)
    call("run", *ARGUMENTS, "--step", "distill teacher=run:some-01", code=1)
    assert seen[0].steps[1].teacher == {"use": "resnet", "depth": 18, "width": None}
    assert seen[1].steps[1].teacher == "run:some-01"


def test_estimate_has_a_row_for_each_step_and_runs_nothing() -> None:
    record = read("estimate", "--model", "lenet_5", "--data", "digits", "--step", "train", "--step", "int8_static")
    assert [row["after"] for row in record["steps"]] == ["as built", "train 20", "int8 static"]
    assert record["steps"][2]["artifact_bytes"] < record["steps"][1]["artifact_bytes"] / 3
    said = call("estimate", "--model", "lenet_5", "--data", "digits", "--step", "magnitude_prune").stdout
    assert "unstructured zeros" in said


def test_estimate_refuses_like_run() -> None:
    assert (
        "format onnx" in call("estimate", "--model", "lenet_5", "--data", "digits", "--step", "bfloat16", code=2).stderr
    )


def keys_of(record: Any) -> set[str]:
    """Return the names of fields at any depth; lists are looked at by their first entry."""
    if isinstance(record, list):
        return keys_of(record[0]) if record else set()
    return set(record).union(*(keys_of(value) for value in record.values())) if isinstance(record, dict) else set()


def test_every_field_of_json_is_documented_in_the_help(runs: Store, tmp_path: Path) -> None:
    trained, small = ids(runs)
    study = tmp_path / "one.yaml"
    study.write_text(f"name: one\ndata: digits\nmetrics: [size]\nmodels: {{a: {NARROW}}}\nrecipes: {{b: {{}}}}\n")
    asked = {
        "parts": read("parts", "zoo")["families"]["zoo"],
        "estimate": read("estimate", *ARGUMENTS),
        "compare": {key: value for key, value in read("compare", trained, small, "--store", runs.root).items()
                    if key not in ("flips", "classes", "latency")},
        "choose": {**read("choose", "--store", runs.root), "why_not": {}, "drops": {}, "budgets": {}},
        "study": read("study", study, "--store", runs.root),
    }  # fmt: skip
    for command, record in asked.items():
        said = call(command, "--help").stdout
        missing = [key for key in keys_of(record) - {"split"} if f'"{key}"' not in said]
        assert not missing, (command, missing)


def test_doctor_measures_once_and_reports_the_ceilings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    measured = {"float32_gflops": 100.0, "call_us": 2.5}
    monkeypatch.setattr(ceilings, "measure", lambda: dict(measured))
    record = read("doctor", "--store", tmp_path)
    assert record["ok"]
    assert record["ceilings"]["float32_gflops"] == 100.0
    assert {each["status"] for each in record["findings"]} <= {"PASS", "WARN"}
    measured["float32_gflops"] = 50.0
    assert read("doctor", "--store", tmp_path)["ceilings"]["float32_gflops"] == 100.0
    assert read("doctor", "--store", tmp_path, "--again")["ceilings"]["float32_gflops"] == 50.0


def test_doctor_ends_with_one_when_something_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench import doctor

    monkeypatch.setattr(ceilings, "obtain", lambda **_: {})
    monkeypatch.setattr(doctor, "MIN_PYTHON", (99, 0))
    result = call("doctor", "--store", tmp_path, code=1)
    assert "FAIL" in result.stdout


def test_lab_opens_the_workbench_and_hands_further_words_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda _path, words: seen.append(words))
    call("lab", "--no-browser")
    assert seen[0][1:3] == ["-m", "jupyterlab"]
    assert seen[0][3].endswith("10_workbench.ipynb")
    assert seen[0][4:] == ["--no-browser"]


def test_the_app_listens_on_this_machine_only_and_asks_for_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda _path, words: seen.append(words))
    call("app", "--no-browser")
    assert seen[0][1:3] == ["-m", "voila"] and seen[0][3].endswith("10_workbench.ipynb")
    assert "--Voila.ip=127.0.0.1" in seen[0] and "--Voila.auto_token=True" in seen[0]
    assert seen[0][-1] == "--no-browser"


def test_without_voila_the_app_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'workbench[app]'" in call("app", code=2).stderr


@pytest.mark.parametrize(
    "command",
    ["parts", "run", "estimate", "table", "show", "compare", "choose", "study", "queue", "doctor", "lab"],
)
def test_every_command_explains_itself(command: str) -> None:
    said = call(command, "--help").stdout
    assert "--json" in said or command == "lab"


@pytest.mark.parametrize(
    ("words", "code"),
    [(["parts"], 0), (["parts", "nothing"], 2), (["run", "--fromat", "onnx"], 2), (["show", "nothing"], 2), ([], 2)],
)
def test_a_real_process_ends_with_the_promised_code_and_no_traceback(
    words: list[str], code: int, tmp_path: Path
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "workbench.cli", *words], capture_output=True, text=True, cwd=tmp_path
    )
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout


def test_an_unforeseen_error_is_one_line_and_a_file(tmp_path: Path) -> None:
    code = "import workbench.doctor as d; d.examine = lambda store: 1 / 0\nfrom workbench.cli import main; main()"
    command = [sys.executable, "-c", code]
    ended = subprocess.run([*command, "doctor"], capture_output=True, text=True, cwd=tmp_path)
    assert ended.returncode == 1
    assert "error: ZeroDivisionError" in ended.stderr
    assert "Traceback" not in ended.stderr
    path = Path(ended.stderr.rsplit(" ", 1)[1].strip())
    assert "Traceback" in path.read_text()
    path.unlink()
    in_full = subprocess.run([*command, "--traceback", "doctor"], capture_output=True, text=True, cwd=tmp_path)
    assert in_full.returncode == 1
    assert "Traceback" in in_full.stderr
