"""MLflow's client, as far as a mirror needs it."""

from __future__ import annotations

import importlib.util
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from workbench.errors import InvalidInput, MissingExtra, WorkbenchError

SCHEMES = ("sqlite:///", "http://", "https://")
KEY = "workbench.key"
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_\-. /]")
MOST_CHARACTERS = 5000  # of a parameter or a tag
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_LOGGING_LEVEL": "WARNING", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One run in the tracker. Moments are UTC in ISO 8601; `key` tells it from all others, for ever."""

    key: str
    name: str
    status: str  # FINISHED, FAILED or KILLED
    started: str
    ended: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, Any]  # None and "" are left out
    files: tuple[Path, ...] = ()
    parent: str = ""  # key of the entry that it is shown below; empty when of none


def why_not(uri: str) -> list[str]:
    """Return why nothing can be mirrored there, without loading MLflow; empty when it seems possible."""
    if not uri.startswith(SCHEMES):
        return [f"{uri!r} is no tracker: it must begin with {', '.join(SCHEMES)}"]
    return []


class Mirror:
    """One experiment of a tracker, open for writing."""

    def __init__(self, uri: str, experiment: str) -> None:
        if problems := why_not(uri):
            raise InvalidInput(problems, next_move="as in sqlite:///mlflow.db or http://localhost:5000")
        if importlib.util.find_spec("mlflow") is None:
            raise MissingExtra("mirroring needs mlflow", next_move="pip install 'workbench[track]'")
        self.uri, self.experiment = uri, experiment
        self.known: dict[str, str] = {}  # key → the tracker's own id

    def __enter__(self) -> Mirror:
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        import mlflow
        from mlflow.exceptions import MlflowException

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        try:
            self.client = mlflow.MlflowClient(self.uri)
            self.experiment_id = self._experiment()
            self._find_known()
        except (MlflowException, OSError) as error:
            raise self._lost(error) from error
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        from mlflow.exceptions import MlflowException

        if isinstance(error, MlflowException):
            raise self._lost(error) from error

    def _lost(self, error: Exception) -> WorkbenchError:
        next_move = "what was made is kept; mirror it later with workbench track"
        return WorkbenchError(f"{self.uri} doesn't answer as it should: {error}", next_move=next_move)

    def add(self, entry: Entry) -> bool:
        """Write one entry with its files; says whether it is new. One that stays half written is written again next time."""
        from mlflow.entities import Metric, Param, RunTag

        if entry.key in self.known:
            return False
        start, end = _milliseconds(entry.started), _milliseconds(entry.ended)
        tags = {f"workbench.{name}": _text(value) for name, value in entry.tags.items() if value not in (None, "")}
        if entry.parent in self.known:
            tags["mlflow.parentRunId"] = self.known[entry.parent]
        run_id = self.client.create_run(self.experiment_id, start_time=start, run_name=entry.name).info.run_id
        self.client.log_batch(
            run_id,
            metrics=[Metric(_legal(name), float(value), end or 0, 0) for name, value in entry.metrics.items()],
            params=[Param(_legal(name), _text(value)) for name, value in entry.params.items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )
        for path in entry.files:
            if path.is_dir():
                self.client.log_artifacts(run_id, str(path), path.name)
            else:
                self.client.log_artifact(run_id, str(path))
        self.client.set_tag(run_id, KEY, entry.key)  # last: without it the entry doesn't count
        self.client.set_terminated(run_id, entry.status, end)
        self.known[entry.key] = run_id
        return True

    def _experiment(self) -> str:
        found = self.client.get_experiment_by_name(self.experiment)
        if found:
            return str(found.experiment_id)
        place = None  # a server's own
        if self.uri.startswith("sqlite:///"):
            database = Path(self.uri.removeprefix("sqlite:///")).absolute()
            place = (database.parent / f"{database.stem}-artifacts" / NOT_IN_NAMES.sub("-", self.experiment)).as_uri()
        return str(self.client.create_experiment(self.experiment, artifact_location=place))

    def _find_known(self) -> None:
        token = None
        while True:
            page = self.client.search_runs([self.experiment_id], max_results=1000, page_token=token)
            self.known |= {run.data.tags[KEY]: run.info.run_id for run in page if KEY in run.data.tags}
            token = page.token
            if not token:
                return


def _milliseconds(moment: str) -> int | None:
    return round(datetime.fromisoformat(moment).timestamp() * 1000) if moment else None


def _legal(name: str) -> str:
    return NOT_IN_NAMES.sub("_", name)


def _text(value: Any) -> str:
    return str(value)[:MOST_CHARACTERS]
