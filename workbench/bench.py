"""★ The one path from a job to a run. Everything that computes goes through here.

    carry_out(job, store)   validate ► parent and reference first ► claim a draft ► launch ► follow ► the run
    work(draft, store)      (in the worker) load ► step ► step ► save ► measure from disk ► publish

A notebook button, the command line, papermill and a cluster all hand the worker the same folder with a job.json.
"""

from __future__ import annotations

import errno
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import orjson

from workbench import machine, ranks, recorder
from workbench._made import tell_made
from workbench.errors import Cancelled, InvalidInput, RunFailed, WorkbenchError
from workbench.job import Job
from workbench.launch import _bound
from workbench.nouns import Run
from workbench.store import DRAFT, Store, own

OnEvent = Callable[[dict[str, Any]], None]
Result = TypeVar("Result")

SECONDS_BETWEEN_LOOKS = 0.05
WAITS = "waits while something else is measured on this machine"


def carry_out(job: Job, store: Store, *, again: bool = False, on_event: OnEvent | None = None) -> Run:
    """Return the run of a job, carrying it out unless it is done already (`again=True` makes another one).

    The parent (as trained, same format) and the reference (as trained, ONNX) are carried out first where missing.
    Raises InvalidInput with all reasons; a run that fails is returned, with its error, not raised.
    """
    run = _carried_out(job, store, again=again, on_event=on_event)
    tell_made([run], store.root)
    return run


def _carried_out(job: Job, store: Store, *, again: bool = False, on_event: OnEvent | None = None) -> Run:
    check(job)
    if not again and (done := store.find(job.job_id)):
        return done
    machine.refuse_to_wait()
    draft, worker = submit(job, store, on_event=on_event)
    try:
        follow(draft, worker, on_event)
    except BaseException:  # also Ctrl-C: nobody would watch the worker any more
        worker.cancel()
        raise
    return ended(draft, store)


def check(job: Job) -> None:
    """Raise InvalidInput with every reason against a job."""
    from workbench.describe import model_card

    if reasons := job.why_not():
        raise InvalidInput(reasons)
    if reasons := job.why_not(model_card(job)):
        raise InvalidInput(reasons)


def submit(job: Job, store: Store, *, on_event: OnEvent | None = None) -> tuple[Path, Any]:
    """Start a worker and return (draft folder, worker handle) at once; relatives are carried out before."""
    parent, reference = (_relative(relative, job, store, on_event) for relative in job.relatives())
    draft = store.begin(job.job_id, job.to_json(), parent=parent, reference=reference)
    return draft, job.launcher.submit(draft, store.root)


def follow(draft: Path, worker: Any, on_event: OnEvent | None) -> None:
    """Hand over events as they are written until the worker ends."""
    events, gone = Tail(draft), False
    while not gone:
        gone = worker.poll() is not None  # asked first, so that the last events are read after the end
        for event in events.news():
            if on_event:
                on_event(event)
        if not gone:
            time.sleep(SECONDS_BETWEEN_LOOKS)


def ended(draft: Path, store: Store) -> Run:
    """Return the run that a draft became, or the draft itself as a lost run."""
    run_id = draft.name.removeprefix(DRAFT)
    return store.draft(run_id) or store.get(run_id)


def tried(job_id: str, record: Mapping[str, Any], action: Callable[[], Result]) -> Result | Run:
    """Return what `action` gives; whatever goes wrong is a failed run without an id, for those who go on with others."""
    try:
        return action()
    except Exception as error:  # noqa: BLE001 - recorded, as in `work`
        return Run(run_id="", job_id=job_id, status="failed", job=dict(record), error=_error(_kind(error), error))


def _relative(relative: Job | None, job: Job, store: Store, on_event: OnEvent | None) -> str | None:
    if relative is None:
        return None
    run = _carried_out(relative, store, on_event=on_event)
    if run.status != "done":
        reason = (run.error or {}).get("message", run.status)
        raise RunFailed(
            f"{job.job_id} compares itself with {run.run_id} (as trained), and that one is {run.status}: {reason}",
            next_move=f"workbench show {run.run_id}",
        )
    return run.run_id


class Tail:
    """Reads whole new lines of a file of events of a run, wherever its draft has been renamed to meanwhile."""

    def __init__(self, draft: Path, file: str = "events.jsonl") -> None:
        self.folders, self.file = (draft, draft.parent / draft.name.removeprefix(DRAFT)), file
        self.position = 0

    def news(self) -> list[dict[str, Any]]:
        """Return the events written since the last call."""
        for folder in self.folders:
            try:
                with (folder / self.file).open("rb") as file:
                    file.seek(self.position)
                    text = file.read()
            except FileNotFoundError:
                continue
            whole, _, _ = text.rpartition(b"\n")
            self.position += len(whole) + bool(whole)
            return [orjson.loads(line) for line in whole.splitlines()]
        return []


# ── the worker ────────────────────────────────────────────────────────────────────────────────────────────────────────


def work(draft: Path, root: Path, *, began_cpu: float = 0.0) -> int:
    """Carry out the job in `draft` and publish its run; returns the exit code (0 done, 1 not).

    Under torch.distributed.run every process comes here: rank 0 leads, the others take part in what is spread.
    """
    _bound.end_with_parent()
    team = ranks.mine(draft)
    if team.size > 1 and not draft.is_dir():
        return 0  # the run has been published, and the agent didn't know
    if not team.leads:
        team.write_apart()
        return _follow(draft, root, team)
    return _lead(draft, Store(root), team, began_cpu)


def _lead(draft: Path, store: Store, team: ranks.Ranks, began_cpu: float) -> int:
    """Carry out the job and publish its run, however it ends."""
    run_id = draft.name.removeprefix(DRAFT)
    own(draft, os.getppid() if team.size > 1 else None)
    record = orjson.loads((draft / "job.json").read_bytes())
    relatives = orjson.loads((draft / "relatives.json").read_bytes())
    known = {
        "run_id": run_id,
        "job_id": run_id.rpartition("-")[0],
        "job": record,
        "started": recorder.now(),
        **relatives,
    }
    result: dict[str, Any] = {}
    quiet = machine.Quiet()
    said = recorder.Recorder(draft, run_id, breathe=quiet.breathe)
    said.listen_for_cancel()
    said.event("started", pid=os.getpid())
    quiet.on_wait = lambda: said.event("log", text=WAITS)
    with quiet:
        ending = _carried_through(draft, store, said, quiet, result, team)
        if not ending:
            return 1
        kind = "finished" if ending["status"] == "done" else "failed"
        said.event(kind, status=ending["status"], text=(ending.get("error") or {}).get("message", ""))
    spent = recorder.cpu_seconds() - began_cpu - sum(said.seconds.values())
    run = Run(
        **known, **result, **ending, ended=recorder.now(), versions=machine.versions(), machine=machine.facts(),
        cpu_seconds={"overhead": round(spent, 4), **said.seconds}, log="log.txt",
    )  # fmt: skip
    store.publish(draft, run)
    return 0 if run.status == "done" else 1


def _carried_through(
    draft: Path, store: Store, said: recorder.Recorder, quiet: machine.Quiet, result: dict[str, Any], team: ranks.Ranks
) -> dict[str, Any]:
    """Carry the job through into `result`; returns how its run ends, or nothing where another process was lost.

    There is then nothing to publish: the agent starts all processes again, or gives up.
    """
    from workbench.worker import carry_through

    try:
        if earlier := team.first_failure():
            return {"status": "failed", "error": earlier}
        carry_through(draft, store, said, quiet, result, team=team)
        return {"status": "done"}
    except Cancelled as stopped:
        ending = {"status": "cancelled", "error": _error("cancelled", stopped)}
    except Exception as error:  # noqa: BLE001 - the one place that records whatever went wrong
        if team.size > 1 and ranks.is_loss_of_another(error) and not team.first_failure():
            return {}
        ending = {"status": "cancelled" if said.cancelled() else "failed", "error": _error(_kind(error), error)}
    if first := team.first_failure():
        return {"status": "failed", "error": first}
    return ending


def _follow(draft: Path, root: Path, team: ranks.Ranks) -> int:
    """Take part in a job that rank 0 leads; a failure is written down for it, the loss of another process isn't ours to tell."""
    from workbench.worker import follow_through

    said = recorder.Recorder(draft, draft.name.removeprefix(DRAFT), file=team.events)
    said.listen_for_cancel()
    said.event("started", pid=os.getpid())
    try:
        follow_through(draft, Store(root), said, machine.Quiet(), team)
    except Cancelled as stopped:
        said.event("failed", status="cancelled", text=stopped.message)
        return 1
    except Exception as error:  # noqa: BLE001 - recorded for rank 0, which publishes it
        if not ranks.is_loss_of_another(error):
            team.note_failure(_error(_kind(error), error))
        said.event("failed", status="failed", text=str(error))
        return 1
    said.event("finished", status="done", text="")
    return 0


def _kind(error: Exception) -> str:
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return "out_of_memory"
    cause = error if isinstance(error, OSError) else error.__cause__
    return "disk_full" if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT) else "raised"


def _error(kind: str, error: Exception) -> dict[str, Any]:
    """Return the record of a failure: kind, message, next move and traceback."""
    known = isinstance(error, WorkbenchError)
    moves = {"out_of_memory": "use a smaller model or batch", "disk_full": "free some space"}
    next_move = error.next_move if known else moves.get(kind, "read the traceback: workbench show RUN")  # type: ignore[attr-defined]
    message = error.message if known else f"{type(error).__name__}: {error}"  # type: ignore[attr-defined]
    trace = "".join(traceback.format_exception(error))
    return {"kind": kind, "signal": None, "message": message, "next": next_move, "traceback": trace}


def main(arguments: list[str]) -> int:
    """`work DRAFT STORE` for launchers, `fresh IN OUT` for measuring, `card IN OUT` for models that need a module."""
    verb, first, second = arguments
    if verb == "work":
        return work(Path(first), Path(second))
    from workbench import fresh

    _bound.end_with_parent()
    return {"fresh": fresh.answer_fresh, "card": fresh.answer_card}[verb](Path(first), Path(second))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
