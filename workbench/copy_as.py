"""Jobs as text to copy: a Python cell, a study, JSON, a command. Run by a clean process it gives the same job ids.

So what is finished already is found in its store, and nothing is done twice. What has its default value is left out.
"""

from __future__ import annotations

import itertools
import json
import pprint
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from workbench.batch.grid import word
from workbench.errors import InvalidInput
from workbench.job import DEFAULT_METRICS, Job
from workbench.lab import notebooks_folder
from workbench.part import Part
from workbench.part_text import part_short, part_words
from workbench.study import check_study, expand

WIDTH = 110
CELL = """from workbench import table
from workbench.bench import carry_out
from workbench.job import Job
from workbench.store import Store

store = Store({store!r})
jobs = [
{jobs}
]
runs = [carry_out(Job.from_json(job), store) for job in jobs]  # finished ones are found, not done again
table.to_frame(table.rows(runs))"""


def python_cell(jobs: Sequence[Job], store_folder: str | Path) -> str:
    """Return a cell (or a script) that carries the jobs out one after the other and ends with their table."""
    records = [pprint.pformat(_short_job(job), width=WIDTH, sort_dicts=False) for job in _some(jobs)]
    indented = "\n".join(f"    {line}" for record in records for line in f"{record},".splitlines())
    return CELL.format(store=str(store_folder), jobs=indented)


def job_json(job: Job) -> str:
    """Return the whole job as `workbench run FILE` reads it, every default spelled out."""
    return json.dumps(job.to_json(), indent=2, ensure_ascii=False) + "\n"


def command(job: Job, store_folder: str | Path) -> str:
    """Return the shell line that carries a job out; values that words can't spell are handed over as JSON below it."""
    try:
        words = _options(job)
    except InvalidInput:
        return f"workbench run /dev/stdin --store {shlex.quote(str(store_folder))} <<'JSON'\n{job_json(job)}JSON"
    return shlex.join(["workbench", "run", *words, "--store", str(store_folder)])


def batch_command(study_file: str | Path, store_folder: str | Path, *, reports_folder: str | Path = "reports") -> str:
    """Return the shell line that executes the study's notebook as a batch; it works from any folder, so its paths are whole.

    Further rows are further words: `-p max_drop=1,2` makes it a batch of two.
    """
    path, reports = Path(study_file), Path(reports_folder).absolute()
    given = {
        # without ending: a study that ships with the workbench
        "study_file": str(path.absolute() if path.suffix else path.name), "store_folder": str(Path(store_folder).absolute()),
        "reports_folder": str(reports), "name": path.stem,
    }  # fmt: skip
    pairs = [word(name, value) for name, value in given.items()]
    return batch_line(notebooks_folder() / "20_compare.ipynb", pairs, reports / f"{path.stem}-batch")


def batch_line(
    notebook: str | Path, pairs: Sequence[str], out: str | Path, *, then: Sequence[str | Path] = (), jobs: int = 0
) -> str:
    """Return the shell line that executes a notebook, and those that follow it, over the grid that `name=values` words spell."""
    following = [text for each in then for text in ("--then", str(each))]
    given = [text for pair in pairs for text in ("-p", pair)]
    side_by_side = ["-j", str(jobs)] if jobs else []
    return shlex.join(
        ["workbench", "batch", "run", str(notebook), *following, *given, "--out", str(out), *side_by_side]
    )


def study_yaml(jobs: Sequence[Job], name: str) -> str:
    """Return a study file of these jobs; their parents and references come with it, as everywhere.

    Raises InvalidInput when no study holds them: they are on several data sets, or one of them can't run.
    """
    import yaml

    record = _study(_some(jobs), name)
    lost = {job.job_id for job in jobs} - {job.job_id for job in expand(check_study(record))}
    if lost:
        raise InvalidInput(
            [f"{job_id} can't be written in a study" for job_id in sorted(lost)], next_move="copy it as Python"
        )
    return yaml.safe_dump(record, sort_keys=False, allow_unicode=True, width=WIDTH)


def _some(jobs: Sequence[Job]) -> Sequence[Job]:
    if not jobs:
        raise InvalidInput(["there is no job to copy"], next_move="pick a model and data, or select runs")
    return jobs


def _short(part: Part) -> Any:
    """Return a part's bare name where all else is at its default, else its short record."""
    record = part_short(part)
    return record if len(record) > 1 else record["use"]


def _short_job(job: Job) -> dict[str, Any]:
    metrics = [_short(metric) for metric in job.metrics]
    record = {
        "model": _short(job.model), "data": _short(job.data), "steps": [_short(step) for step in job.steps],
        "format": _short(job.format), "metrics": metrics, "seed": job.seed,
        "layout": _short(job.layout) if job.layout else None, "launcher": _short(job.launcher),
    }  # fmt: skip
    usual = {"format": "onnx", "metrics": list(DEFAULT_METRICS), "seed": 0, "launcher": "process", "steps": []}
    return {key: value for key, value in record.items() if value != usual.get(key)}


def _options(job: Job) -> list[str]:
    """Return the options of `workbench run`; raises InvalidInput for a job that they can't spell."""
    words = ["--model", part_words(job.model), "--data", part_words(job.data)]
    for step in job.steps:
        words += ["--step", part_words(step)]
    if (written := part_words(job.format)) != "onnx":
        words += ["--format", written]
    metrics = [part_words(metric) for metric in job.metrics]
    if any("=" in metric for metric in metrics):
        words += [word for metric in metrics for word in ("--metrics", metric)]
    elif metrics != list(DEFAULT_METRICS):
        words += ["--metrics", ",".join(metrics)]
    if job.layout:
        words += ["--layout", part_words(job.layout)]
    if (launched := part_words(job.launcher)) != "process":
        words += ["--launcher", launched]
    return words + (["--seed", str(job.seed)] if job.seed else [])


# ── a study ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _study(jobs: Sequence[Job], name: str) -> dict[str, Any]:
    """Return the record of a study: what most jobs share stands on top, each recipe once, for the models that have it."""
    data = {_key(job.data.to_json()): job.data for job in jobs}
    if len(data) > 1:
        words = ", ".join(str(_words(each)) for each in data.values())
        raise InvalidInput([f"a study is on one data set, these jobs are on {words}"], next_move="copy them apart")
    shared = {key: _commonest([_shareable(job)[key] for job in jobs]) for key in ("format", "metrics", "seeds")}
    models = {str(_words(job.model)): _words(job.model) for job in jobs}
    recipes: dict[str, dict[str, Any]] = {}
    for job in jobs:
        own = {key: value for key, value in _shareable(job).items() if value != shared[key]}
        recipe = {**({"steps": [_words(step) for step in job.steps]} if job.steps else {}), **own}
        title = next(title for title in _titles(job) if recipes.get(title, {}).get("recipe", recipe) == recipe)
        recipes.setdefault(title, {"recipe": recipe, "only": {}})["only"][str(_words(job.model))] = None
    return {
        "name": name, "data": _words(next(iter(data.values()))), **shared, "models": models,
        "recipes": {
            title: {**entry["recipe"], **({} if len(entry["only"]) == len(models) else {"only": list(entry["only"])})}
            for title, entry in recipes.items()
        },
    }  # fmt: skip


def _shareable(job: Job) -> dict[str, Any]:
    return {"format": _words(job.format), "metrics": [_words(metric) for metric in job.metrics], "seeds": [job.seed]}


def _words(part: Part) -> Any:
    """Return a part as a study names it: words where they can spell it, else its record."""
    try:
        return part_words(part)
    except InvalidInput:
        return part_short(part)


def _titles(job: Job) -> Iterator[str]:
    """Yield names for a recipe, the shortest first; the last ones are as many as are needed."""
    change = " + ".join(step.describe() for step in job.steps if not step.trains) or "as trained"
    yield change
    yield f"{change}, {job.format.name()}"
    yield f"{job.recipe()}, {job.format.name()}, seed {job.seed}"
    yield from (f"{change} ({number})" for number in itertools.count(2))


def _commonest(values: Sequence[Any]) -> Any:
    return max(values, key=values.count)


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
