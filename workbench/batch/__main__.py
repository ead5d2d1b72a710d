"""The runner that `api.start` starts: a request as JSON on stdin, the end as one line of JSON on stdout."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson

from workbench.batch._options import Options
from workbench.batch.carry_out import Request, carry_out
from workbench.errors import InvalidInput, WorkbenchError

KEPT_APART = ("force", "only", "where", "require", "allow_failures")  # of the request, not of its limits


def main() -> None:
    """Carry the request out; ends the process with the exit code of `workbench batch run`."""
    record = orjson.loads(sys.stdin.buffer.read())
    try:
        done = carry_out(_request(record))
        told: dict[str, Any] = {"exit_code": done.exit_code, "why": done.why}
    except InvalidInput as error:
        told = {"exit_code": error.exit_code, "problems": error.problems, "next": error.next_move}
    except WorkbenchError as error:
        told = {"exit_code": error.exit_code, "why": str(error), "problems": [error.message], "next": error.next_move}
    sys.stdout.buffer.write(orjson.dumps(told) + b"\n")
    sys.exit(told["exit_code"])


def _request(record: dict[str, Any]) -> Request:
    given = dict(record["options"])
    apart = {name: given.pop(name) for name in KEPT_APART if name in given}
    unknown = sorted(set(given) - set(Options.__dataclass_fields__))
    if unknown:
        raise InvalidInput(
            [f"unknown option {name!r}" for name in unknown],
            next_move=f"known: {', '.join((*Options.__dataclass_fields__, *KEPT_APART))}",
        )
    if "require" in apart:
        apart["require"] = tuple(apart["require"])
    return Request(
        Path(record["out"]),
        Path(record["notebook"]),
        record["grid"],
        tuple(record["pairs"]),
        Options.from_json(given),
        then=tuple(map(Path, record["then"])),
        **apart,
    )


if __name__ == "__main__":
    main()
