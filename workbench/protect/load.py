"""What happens before a protected artifact is used: its signature is verified, it is decrypted in memory, its format is looked at."""

from __future__ import annotations

from pathlib import Path

from workbench import artifact
from workbench.errors import ArtifactError
from workbench.nouns import Artifact
from workbench.part import Session
from workbench.protect import encrypt, gate, sign


def load(
    folder: Path, keys_folder: Path, *, signature: Path | None = None, must_be_signed: bool = True
) -> tuple[Artifact, str]:
    """Return an artifact for `artifact.open_session`, and the id of the key that signed it ("" = nobody was asked for).

    An encrypted one has its files in memory only. Raises ArtifactError for anything that isn't as it was protected.
    """
    signer = sign.verify(folder, keys_folder, signature=signature) if must_be_signed else ""
    if encrypt.is_encrypted(folder):
        found = artifact.in_memory(folder, encrypt.decrypted(folder, keys_folder))
    else:
        found = artifact.read(folder)
    gate.check(found, is_signed=bool(signer))
    return found, signer


def gap_to_recorded(
    loaded: Artifact,
    session: Session | None = None,  # None = opened here
) -> float:
    """Return how far the opened artifact's output is from the one recorded in it; raises above its tolerance."""
    import io

    import numpy as np

    content = loaded.files["probe.npz"] if loaded.files else (Path(loaded.folder) / "probe.npz").read_bytes()
    probe = np.load(io.BytesIO(content))
    session = session or artifact.open_session(loaded)
    names = [each["name"] for each in loaded.card["inputs"]]
    output = next(iter(session({name: probe[f"input_{name}"] for name in names}).values()))
    gap = artifact.largest_gap(output, probe["output"])
    tolerance = loaded.card["probe"]["tolerance"]
    if not gap <= tolerance:
        raise ArtifactError(
            f"{loaded.folder} opens, with a gap of {gap:.2e} to its recorded output ({tolerance:.0e} is allowed)"
        )
    return gap
