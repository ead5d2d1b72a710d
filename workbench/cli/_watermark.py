"""The commands that mark models as somebody's and look for the mark: workbench protect watermark …"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli._options import HERE, Json, Store, exit_unless

if TYPE_CHECKING:
    from workbench.job import Job

KeyFile = Annotated[Path, typer.Option("--key", metavar="FILE", help="What watermark keygen made")]
Owner = Annotated[str, typer.Option("--owner", help="Whose mark; the same words when it is looked for")]
Bits = Annotated[int, typer.Option("--bits", help="Length of the mark", min=24, max=1024)]
BITS = 64

watermark = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None,
    help="Mark a model as somebody's. A mark outlives pruning and rounding; permuting the layer's neurons removes it.",
)  # fmt: skip


@watermark.command()
def keygen(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of keys, or a new one")], json: Json = False
) -> None:
    """Make the key of a watermark. Tell its id to somebody now: a mark proves little if the key came after the quarrel.

    \b
    --json: {"schema", "key": file, "id"}
    """
    from workbench.cli._text import say_json
    from workbench.projection import read_key
    from workbench.protect import watermark as marking

    path = marking.keygen(folder)
    if json:
        say_json({"key": path, "id": read_key(path).id})
    else:
        typer.echo(f"{path}\nits id, which may be known: {read_key(path).id}")


@watermark.command()
def embed(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run whose model is to be marked")],
    key: KeyFile, owner: Owner, bits: Bits = BITS,
    layer: Annotated[str, typer.Option(help="Default: the one with most weights")] = "",
    store: Store = HERE, json: Json = False,
) -> None:  # fmt: skip
    """Carry out a run's job again with the mark put in before numbers are stored: a new run, measured like any other.

    \b
    --json: as for `workbench run`: the record of the new run, and "folder"
    """
    from workbench import bench
    from workbench.cli import _pages as pages
    from workbench.cli._input import find_run
    from workbench.cli._progress import RunProgress
    from workbench.cli._text import say_json
    from workbench.job import Job
    from workbench.store import Store as RunStore

    kept = RunStore(store)
    step = {"use": "watermark", "key": str(key.absolute()), "owner": owner, "num_bits": bits, "layer": layer}
    job = _with_mark(Job.from_json(dict(find_run(kept, run).job)), step)
    with RunProgress() as progress:
        done = bench.carry_out(job, kept, on_event=progress)
    if json:
        say_json({**done.to_json(), "folder": done.folder})
    else:
        pages.say_run(done)
    exit_unless(done.status == "done")


@watermark.command()
def detect(
    what: Annotated[str, typer.Argument(metavar="ARTIFACT", help="An artifact's folder, or a run")],
    key: KeyFile, owner: Owner, bits: Bits = BITS, store: Store = HERE, json: Json = False,
) -> None:  # fmt: skip
    """Say whether an artifact carries an owner's mark, and how probable that is by chance. Exit code 1 when it doesn't.

    \b
    --json: {"schema", "is_there", "layer", "num_right", "num_bits", "num_layers", "chance": over all layers}
    """
    from dataclasses import asdict

    from workbench.cli._input import artifact_folder
    from workbench.cli._text import say_json
    from workbench.protect import watermark as marking

    found = marking.detect(artifact_folder(what, store), key, owner, num_bits=bits)
    if json:
        say_json({"is_there": found.is_there, **asdict(found)})
    else:
        told = f"{found.num_right} of {found.num_bits} bits in {found.layer}; by chance in {found.num_layers} layers: {found.chance:.1e}"
        typer.echo(f"{'marked' if found.is_there else 'no mark found'}: {told}")
    exit_unless(found.is_there)


def _with_mark(job: Job, step: dict[str, Any]) -> Job:
    """Return the job with a step before the first that decides how numbers are stored."""
    from workbench.job import Job as JobType

    place = next((index for index, each in enumerate(job.steps) if each.precision), len(job.steps))
    steps = [each.to_json() for each in job.steps]
    return JobType.from_json({**job.to_json(), "steps": [*steps[:place], step, *steps[place:]]})
