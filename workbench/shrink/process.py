"""A shrinking as a process of its own: for panels, whose kernel stays free and can end it; what is finished is kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workbench.shrink.shrink import Calibration, shrink
from workbench.telling import Say, Telling, tell


class Shrinking:
    """One under way; `stop` ends it, and the same again goes on. Files are texts; empty = none."""

    def __init__(
        self,
        source: str,
        destination: str,
        steps: Sequence[Mapping[str, Any]],
        *,
        calibration: str = "",
        perplexity: str = "",
    ) -> None:
        request = {"source": source, "destination": destination, "steps": list(steps), "calibration": calibration}
        self._process = Telling("workbench.shrink.process", {**request, "perplexity": perplexity})

    def follow(self, say: Say = lambda progress: None) -> dict[str, Any]:
        """Tell {"done", "total", "eta_seconds", "layer"} and return the record; raises as `shrink` does, Cancelled once stopped."""
        found: dict[str, Any] = self._process.follow(say)
        return found

    def stop(self) -> None:
        self._process.stop()


def _work(request: Mapping[str, Any], say: Callable[[Any], None]) -> dict[str, Any]:
    calibration = Calibration(Path(request["calibration"]).expanduser()) if request["calibration"] else None
    record = shrink(
        request["source"], request["destination"], request["steps"], calibration=calibration,
        on_progress=lambda progress: say(asdict(progress)),
    )  # fmt: skip
    if not request["perplexity"]:
        return record
    from workbench.shrink.perplexity import perplexity

    measured = {}
    for name, folder in (("source", request["source"]), ("result", request["destination"])):
        say({"done": 0, "total": 0, "eta_seconds": None, "layer": f"measuring the perplexity of the {name}"})
        measured[name] = perplexity(Path(folder).expanduser(), Path(request["perplexity"]).expanduser())
    return {**record, "perplexity": measured}


if __name__ == "__main__":
    sys.exit(tell(_work))
