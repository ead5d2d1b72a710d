"""What every benchmark does at its end: keep the figures with their samples, and say PASS or FAIL."""

from __future__ import annotations

import datetime
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from workbench import machine

RESULTS = Path(__file__).parent / "results"
BEGAN = time.monotonic()  # every benchmark imports this module first


def finish(
    name: str,
    claims: Mapping[str, bool],
    *,
    summary: str,
    figures: Mapping[str, Any],
    samples: Mapping[str, Sequence[Any]],
    threads: int = 1,
) -> NoReturn:
    """Write results/<date>-<name>.json and a line in results/lines.txt, print, and exit: 0 when every claim holds.

    `claims` says each bar in words; `samples` are all single values behind `figures`.
    """
    passed = all(claims.values())
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H%M%SZ")
    record = {
        "benchmark": name, "date": date, "passed": passed, "claims": dict(claims), "summary": summary, "threads": threads,
        "seconds": round(time.monotonic() - BEGAN), "load1": round(os.getloadavg()[0], 2), "machine": machine.facts(), "versions": machine.versions(),
        "figures": dict(figures), "samples": {key: list(values) for key, values in samples.items()},
    }  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{date}-{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    verdict = "PASS" if passed else "FAIL"
    line = f"{date}  {verdict}  {name:<17} {summary}  ({record['machine']['cpu']}, load {record['load1']})"
    with (RESULTS / "lines.txt").open("a") as lines:
        lines.write(line + "\n")
    for claim, holds in claims.items():
        print(f"{'PASS' if holds else 'FAIL'}  {claim}")
    print(line)
    sys.exit(not passed)


def median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def growth(values: Sequence[float]) -> float:
    """Return how much a line through the second half grows over that half, as a share of its start."""
    half = values[len(values) // 2 :]
    middle, mean = (len(half) - 1) / 2, sum(half) / len(half)
    spread = sum((index - middle) ** 2 for index in range(len(half)))
    slope = sum((index - middle) * (value - mean) for index, value in enumerate(half)) / spread
    return slope * (len(half) - 1) / (mean - slope * middle)
