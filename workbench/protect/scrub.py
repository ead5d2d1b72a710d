"""Makes a copy of an artifact without what tells who made it, where and from which examples; says what it removed.

Removed: from the card everything but what opening and using the model takes; comments and metadata of the model's file (its
format knows where); the recorded probe's real examples, for which made-up ones of the same shape are recorded anew.
"""

from __future__ import annotations

import contextlib
import getpass
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import artifact, catalog
from workbench.errors import ArtifactError
from workbench.nouns import Artifact
from workbench.part import Format
from workbench.protect._appearing import appearing
from workbench.store import write_json

if TYPE_CHECKING:
    import numpy as np

# What a stranger needs to open the model and to use it. Everything else on the card tells of its making.
KEPT = ("schema", "task", "labels", "licence", "format", "format_record", "needs", "inputs", "outputs", "precision", "probe")  # fmt: skip
SHORTEST = 4  # letters of a name that is looked for: shorter ones stand in any file by chance


@dataclass(frozen=True)
class Scrubbed:
    """What was removed, and where words of this machine or those given still stand."""

    removed: tuple[str, ...]
    left: tuple[str, ...]


def scrub(folder: Path, target: Path, *, words: tuple[str, ...] = ()) -> Scrubbed:
    """Write a scrubbed copy into a new folder; `words` are further names that must not be left in any file.

    The copy was opened: on the old probe it gave the recorded output. Raises ArtifactError when it did not.
    """
    given = artifact.read(folder)
    if problems := artifact.verify(given):
        raise ArtifactError(f"{folder}: {'; '.join(problems)}", next_move="scrub an artifact that is whole")
    made = catalog.make("formats", given.card["format_record"])
    assert isinstance(made, Format)
    with appearing(target) as draft:
        for name in given.card["files"]:
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, draft / name)
        removed = [f"{path.name}: not an artifact's file" for path in _strangers(folder, given)]
        removed += made.scrub(draft)
        removed += [f"card.json: {name}" for name in given.card if name not in (*KEPT, "title", "files")]
        removed += [
            "card.json: title, for which there is a plain one",
            "probe.npz: real examples, for which there are made-up ones",
        ]
        card = {name: given.card[name] for name in KEPT if name in given.card}
        card["title"] = f"{given.card['task']} model, {given.card['format']}"
        _record_anew(draft, card, made)
        card["files"] = artifact.described(draft)
        write_json(draft / "card.json", card)
        left = _left(draft, (*_own_words(), *words))
    return Scrubbed(tuple(removed), tuple(left))


def _strangers(folder: Path, given: Artifact) -> list[Path]:
    known = {"card.json", *given.card["files"]}
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and str(path.relative_to(folder)) not in known]


def _record_anew(draft: Path, card: dict[str, Any], made: Format) -> None:
    """Check the copy on the old probe, then record made-up inputs and the output that they give in the same runtime."""
    import numpy as np

    write_json(draft / "card.json", card)  # formats read input names from it
    session = made.open(draft)
    with np.load(draft / "probe.npz") as file:
        old = dict(file)
    names = [each["name"] for each in card["inputs"]]
    gap = artifact.largest_gap(session({name: old[f"input_{name}"] for name in names})["logits"], old["output"])
    if not gap <= card["probe"]["tolerance"]:
        raise ArtifactError(
            f"the scrubbed copy gives another output: gap {gap:.2e}", next_move="report this as a fault"
        )
    inputs = {name: _made_up(old[f"input_{name}"]) for name in names}
    arrays: Any = {f"input_{name}": array for name, array in inputs.items()}
    np.savez(draft / "probe.npz", output=session(inputs)["logits"], **arrays)


def _made_up(real: np.ndarray) -> np.ndarray:
    """Return random values between the smallest and largest of a real input: the same shape and type, nobody's data."""
    import numpy as np

    random = np.random.default_rng(0)
    if real.dtype.kind == "f":
        return random.uniform(real.min(), real.max(), real.shape).astype(real.dtype)
    return random.integers(real.min(), real.max(), real.shape, endpoint=True).astype(real.dtype)


def _own_words() -> tuple[str, ...]:
    words = [socket.gethostname(), str(Path.cwd())]
    for ask in (getpass.getuser, lambda: str(Path.home())):
        with contextlib.suppress(KeyError, OSError, RuntimeError):  # a user without a name, as in containers
            words.append(ask())
    return tuple(words)


def _left(folder: Path, words: tuple[str, ...]) -> list[str]:
    """Return where words still stand in the bytes of any file, as UTF-8 or UTF-16."""
    told = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes().lower()
        for word in sorted({word.lower() for word in words if len(word) >= SHORTEST}):
            if word.encode() in content or word.encode("utf-16-le") in content:
                told.append(f"{path.relative_to(folder)}: {word!r}")
    return told
