"""Shows under a notebook cell how far a run or a study is, in one line that moves, and each run that failed.

Give one to `carry_out` or `carry_out_study` as `on_event`. Whoever executes the notebook without a browser is told too.
"""

from __future__ import annotations

import html
import time
from typing import TYPE_CHECKING, Any

from IPython.display import display

from workbench.batch.progress import study_lines, tell_runner

if TYPE_CHECKING:
    from workbench.study import Progress

SECONDS_BETWEEN_UPDATES = 0.25


class WatchRun:
    """Takes the events of one run, as they stand in its `events.jsonl`."""

    def __init__(self) -> None:
        self.line = _Line()

    def __call__(self, event: dict[str, Any]) -> None:
        tell_runner(event)
        ended = event.get("kind") in ("finished", "failed")
        self.line.show(_what_goes_on(event["run_id"], event), event.get("done", 0), event.get("total", 0), now=ended)


class WatchStudy:
    """Takes the `Progress` of a study."""

    def __init__(self) -> None:
        self.line = _Line()
        self.failed: list[str] = []

    def __call__(self, progress: Progress) -> None:
        tell_runner(*study_lines(progress))
        run = progress.ended
        if run and run.status != "done":
            self.failed.append(f"{run.run_id or run.job_id} {run.status}: {(run.error or {}).get('message', '')}")
        text = "\n".join([sentence(progress), *self.failed])
        self.line.show(text, progress.done, progress.total, now=run is not None)


class _Line:
    """One display that is updated in place, a few times a second at most."""

    def __init__(self) -> None:
        self.shown_at = -SECONDS_BETWEEN_UPDATES
        self.handle = display(_bundle("", 0, 0), raw=True, display_id=True)

    def show(self, text: str, done: float, total: float, *, now: bool) -> None:
        if now or time.monotonic() - self.shown_at > SECONDS_BETWEEN_UPDATES:
            self.shown_at = time.monotonic()
            self.handle.update(_bundle(text, done, total), raw=True)


def sentence(progress: Progress) -> str:
    """Return, as in `3 of 9 runs · about 20 s left · lenet_5-… steps[0].train 120/600 batches`."""
    pieces = [f"{progress.done} of {progress.total} runs"]
    if progress.eta_seconds is not None and progress.done < progress.total:
        pieces.append(f"about {progress.eta_seconds:.0f} s left")
    pieces += [_what_goes_on(job_id, event) for job_id, event in progress.running.items()]
    return " · ".join(pieces)


def _what_goes_on(name: str, event: dict[str, Any]) -> str:
    how_far = f"{event['done']}/{event['total']} {event.get('unit', '')}" if event.get("total") else ""
    ended = event["kind"] if event.get("kind") in ("finished", "failed") else ""
    return " ".join(filter(None, (name, event.get("part", "starting"), how_far.strip(), ended)))


def _bundle(text: str, done: float, total: float) -> dict[str, str]:
    said = html.escape(text).replace("\n", "<br>")
    bar = f'<progress value="{done}" max="{total}" aria-label="how far it is"></progress>' if total else ""
    return {"text/plain": text, "text/html": f'<div class="wb-watch">{bar} {said}</div>'}
