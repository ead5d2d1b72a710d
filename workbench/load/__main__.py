"""`python -m workbench.load`: one line of JSON in says what to ask and how, one line out for each rate as it is done."""

from __future__ import annotations

import sys

import orjson

from workbench.errors import WorkbenchError
from workbench.load import Settings, Step, Target, measure_load
from workbench.load._search import step_record


def main() -> int:
    asked = orjson.loads(sys.stdin.readline())
    settings = Settings(**{**asked["settings"], "rates": tuple(asked["settings"].get("rates", ()))})

    def say(step: Step) -> None:
        _write({"step": step_record(step)})

    try:
        tested = measure_load(Target(**asked["target"]), settings, say=say)
    except WorkbenchError as error:
        _write({"error": str(error)})
        return error.exit_code
    _write({"done": tested.to_json()})
    return 0


def _write(record: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(record) + b"\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
