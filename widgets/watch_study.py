"""Shows under a notebook cell how far a study is: one line with a bar, and each run that failed."""

from __future__ import annotations

import html
import time
from typing import TYPE_CHECKING

from IPython.display import display

from workbench.batch.progress import tell_runner

if TYPE_CHECKING:
    from workbench.study import Progress

SECONDS_BETWEEN_UPDATES = 0.25


class WatchStudy:
    """Give it to `carry_out_study` as `on_event`; also tells whoever executes the notebook without a browser."""

    def __init__(self) -> None:
        self.shown_at = 0.0
        self.failed: list[str] = []
        self.handle = display(_bundle("starting", 0, 1), raw=True, display_id=True)

    def __call__(self, progress: Progress) -> None:
        tell_runner(progress)
        run = progress.ended
        if run and run.status != "done":
            self.failed.append(f"{run.run_id or run.job_id} {run.status}: {(run.error or {}).get('message', '')}")
        if run or time.monotonic() - self.shown_at > SECONDS_BETWEEN_UPDATES:
            self.shown_at = time.monotonic()
            text = "\n".join([sentence(progress), *self.failed])
            self.handle.update(_bundle(text, progress.done, progress.total), raw=True)


def sentence(progress: Progress) -> str:
    """Return, as in `3 of 9 runs · about 20 s left · lenet_5-… steps[0].train 120/600 batches`."""
    pieces = [f"{progress.done} of {progress.total} runs"]
    if progress.eta_seconds is not None and progress.done < progress.total:
        pieces.append(f"about {progress.eta_seconds:.0f} s left")
    for job_id, event in progress.running.items():
        how_far = f" {event['done']}/{event['total']} {event.get('unit', '')}" if event.get("total") else ""
        pieces.append(f"{job_id} {event.get('part', 'starting')}{how_far}".strip())
    return " · ".join(pieces)


def _bundle(text: str, done: int, total: int) -> dict[str, str]:
    said = html.escape(text).replace("\n", "<br>")
    bar = f'<progress value="{done}" max="{max(total, 1)}" aria-label="runs that ended"></progress>'
    return {"text/plain": text, "text/html": f'<div class="wb-watch-study">{bar} {said}</div>'}
