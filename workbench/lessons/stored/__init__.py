"""Studies that a lesson reads instead of waiting for them: `NAME.yaml` beside what came of it, `NAME.zip`.

The zip holds records, answers and times as `workbench export` writes them, without artifacts: enough to compare, not to
open. Outputs are kept in 16 bits, which changes no answer. `workbench instructor rebuild` makes it again.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from workbench import exchange, marks
from workbench.ceilings import cache_folder
from workbench.errors import InvalidInput
from workbench.nouns import Run
from workbench.store import Store
from workbench.study import Label, Study, labels, read_study

FOLDER = Path(__file__).parent
BETWEEN = " | "  # model | recipe, in the note of each run


def names() -> tuple[str, ...]:
    """Return the stored studies that there are."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def study_of(name: str) -> Study:
    """Return the study that a stored one was made from; raises InvalidInput for a name that there isn't."""
    if name not in names():
        raise InvalidInput([f"no stored study {name!r}"], next_move=f"there are: {', '.join(names())}")
    return read_study(FOLDER / f"{name}.yaml")


@cache
def runs_of(name: str) -> dict[Label, Run]:
    """Return every run of a stored study by what it is called, unpacked into the user's cache the first time."""
    source = FOLDER / f"{name}.zip"
    content = hashlib.sha256(source.read_bytes()).hexdigest()
    store = Store(cache_folder() / "stored" / f"{name}-{content[:12]}")
    exchange.import_runs(store, source)
    called = {run_id: each.note for run_id, each in marks.read_all(store).items()}
    found = {Label(*called[run.run_id].split(BETWEEN)): run for run in store.runs()}
    study = study_of(name)
    return {
        label: found[label] for label in (Label(model, recipe) for model in study.models for recipe in study.recipes)
    }


def pack(study: Study, runs: Sequence[Run], target: Path) -> Path:
    """Write the runs of a study into a zip without their artifacts, each called as the study calls it."""
    called = labels(study)
    if problems := [f"{called[run.job_id].recipe} is {run.status}" for run in runs if run.status != "done"]:
        raise InvalidInput(problems, next_move="workbench show RUN tells why; a stored study is whole")
    with tempfile.TemporaryDirectory(prefix="workbench-stored-") as place:
        light = Store(place)
        for run in runs:
            _copy(Path(run.folder), light.root / run.run_id)
            label = called[run.job_id]
            marks.write(light, run.run_id, marks.Marks(note=f"{label.model}{BETWEEN}{label.recipe}"))
        target.unlink(missing_ok=True)
        return exchange.export(light, [run.run_id for run in runs], target)


def _copy(source: Path, target: Path) -> None:
    """Copy a run's record and samples."""
    (target / "samples").mkdir(parents=True)
    shutil.copyfile(source / "run.json", target / "run.json")
    for path in sorted((source / "samples").iterdir()):
        kept = path.read_bytes() if path.name != "predictions.npz" else _in_16_bits(path)
        (target / "samples" / path.name).write_bytes(kept)


def _in_16_bits(path: Path) -> bytes:
    """Return a file of predictions with outputs in 16 bits; where rounding ties two classes, the one that was ahead stays so."""
    import numpy as np

    with np.load(path) as found:
        arrays = {key: found[key] for key in found.files}
    for key, values in arrays.items():
        if key.endswith("_outputs"):
            kept, ahead = values.astype(np.float16), values.argmax(1)
            (tied,) = np.nonzero(kept.argmax(1) != ahead)
            kept[tied, ahead[tied]] = np.nextafter(kept[tied].max(1), np.float16(np.inf))
            arrays[key] = kept
    packed = io.BytesIO()
    np.savez_compressed(packed, allow_pickle=False, **arrays)
    return packed.getvalue()
