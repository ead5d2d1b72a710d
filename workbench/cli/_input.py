"""What the command line reads: jobs from options or files, runs by the beginning of their id."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.errors import InvalidInput
from workbench.job import Job
from workbench.nouns import Run
from workbench.params import did_you_mean
from workbench.part_text import part_record
from workbench.store import Store
from workbench.study import FASTEST


def job_from(file: Path | None, **options: Any) -> Job:
    """Return the job of a file, or of options as in `job_record`; raises InvalidInput with the problems of text and parts together."""
    record = job_record(file, **options)
    if record.get("format") == FASTEST:
        raise InvalidInput([f"format {FASTEST} is several jobs"], next_move="name one format: workbench parts formats")
    return Job.from_json(record)


def job_record(
    file: Path | None,
    *,
    model: str | None,
    data: str | None,
    steps: Sequence[str] | None,
    format: str | None,
    metrics: Sequence[str] | None,
    seed: int | None,
    layout: str | None = None,
    launcher: str | None = None,
) -> dict[str, Any]:
    """Return the record of the job; its format may be `fastest`, which stands for one job per format."""
    options: dict[str, Any] = {"model": model, "data": data, "steps": steps, "format": format, "metrics": metrics}
    options |= {"seed": seed, "layout": layout, "launcher": launcher}
    given: dict[str, Any] = {key: value for key, value in options.items() if value not in (None, [], ())}
    if file is not None:
        if given:
            raise InvalidInput([f"{file} is a whole job: leave out {', '.join(given)}, or the file"])
        read = read_json(file)
        return read if isinstance(read, dict) else Job.from_json(read).to_json()
    problems: list[str] = []
    record: dict[str, Any] = {"seed": seed or 0}
    families = {"model": "zoo", "data": "data", "format": "formats", "layout": "layout", "launcher": "launch"}
    for key, family in families.items():
        if key in given:
            is_several = key == "format" and given[key] == FASTEST
            record[key] = FASTEST if is_several else _part(family, given[key], key, problems)
    record["steps"] = [_part("compress", text, f"steps[{i}]", problems) for i, text in enumerate(steps or ())]
    if metrics:
        texts = [piece for text in metrics for piece in ([text] if "=" in text else text.split(","))]
        record["metrics"] = [_part("measure", text, f"metrics[{i}]", problems) for i, text in enumerate(texts)]
    try:
        Job.from_json({**record, "format": None} if record.get("format") == FASTEST else record)
    except InvalidInput as error:
        raise InvalidInput([*problems, *error.problems], next_move=error.next_move) from None
    if problems:
        raise InvalidInput(problems, next_move="workbench parts lists what there is")
    return record


def _part(family: str, text: str, place: str, problems: list[str]) -> dict[str, Any] | None:
    try:
        return part_record(family, text, where=place)
    except InvalidInput as error:
        problems += error.problems
        return None


def read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except OSError as error:
        raise InvalidInput([f"{file}: {error.strerror}"]) from None
    except ValueError as error:
        raise InvalidInput([f"{file} is not JSON: {error}"]) from None


def find_run(store: Store, wanted: str) -> Run:
    """Return the run with this id, or the only one that begins so; lost drafts count."""
    runs = {run.run_id: run for run in (*store.runs(), *store.drafts())}
    if wanted in runs:
        return runs[wanted]
    near = [run_id for run_id in runs if run_id.startswith(wanted)]
    if len(near) == 1:
        return runs[near[0]]
    if near:
        raise InvalidInput([f"{wanted!r} is the beginning of {len(near)} runs: {', '.join(sorted(near)[:5])}"])
    for reason in store.skipped:
        if f"/{wanted}/" in reason:
            raise InvalidInput([reason], next_move="run its job again")
    raise InvalidInput(
        [f"no run {wanted!r} in {store.root}{did_you_mean(wanted, runs)}"], next_move="workbench table lists the runs"
    )


def artifact_folder(what: str, store: Path) -> Path:
    """Return the artifact's folder of what was named: that folder itself, or a run."""
    named = Path(what)
    if named.is_dir():
        return named / "artifact" if (named / "run.json").is_file() else named
    return Path(find_run(Store(store), what).folder) / "artifact"
