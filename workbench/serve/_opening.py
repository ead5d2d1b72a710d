"""From a folder to a model that answers: signature, decryption in memory, gate, hashes, session, one known answer."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import artifact, tokenizer
from workbench.errors import ArtifactError, WorkbenchError
from workbench.nouns import Artifact
from workbench.part import Decoder, Session
from workbench.protect import encrypt, gate, load
from workbench.serve import _config, _gate, _signature, repository
from workbench.serve._batcher import Batcher
from workbench.serve._generating import Generator
from workbench.serve._statistics import Statistics
from workbench.serve.repository import Found

QUICK_SECONDS = 0.002  # a full batch that takes no longer runs in the event loop: no other request waits longer for it
NUM_TIMED = 5


@dataclass(frozen=True)
class Trust:
    """Whose artifacts are opened."""

    keys: Path | None = None  # folder of `workbench protect keygen`; None = unsigned, unencrypted ones
    must_be_signed: bool = True  # with keys


@dataclass(frozen=True)
class Served:
    """One version of a model, opened and warm."""

    name: str
    version: int
    folder: Path
    card: Mapping[str, Any]
    config: Any  # Triton's ModelConfig
    signature: _signature.Signature
    statistics: Statistics
    batcher: Batcher
    session: Session
    generator: Generator | None  # None = it does not generate text
    signer: str  # id of the key that signed it; "" = nobody was asked for
    is_encrypted: bool


def opened(found: Found, version: int, *, trust: Trust, threads: int, streams: int) -> Served:
    """Open one version; raises ArtifactError with why it won't be served."""
    folder = found.versions[version]
    saved, signer = _read(folder, trust)
    config = repository.config_of(found, saved.card)
    session, decoder = _session(saved, threads)
    may_be_any = _config.parameter(config, _config.NON_FINITE) == "allow"
    signature = _signature.of(saved.card, max_batch=config.max_batch_size, finite_only=not may_be_any)
    statistics = Statistics()
    is_quick = _seconds(saved, session) * max(1, config.max_batch_size) <= QUICK_SECONDS
    together = config.HasField("dynamic_batching")
    batcher = Batcher(session, signature, statistics, together=together, is_quick=is_quick)
    return Served(
        found.name, version, folder, saved.card, config, signature, statistics, batcher, session,
        Generator(decoder, streams, tokenizer.from_files(saved.files or {})) if decoder else None, signer,
        encrypt.is_encrypted(folder),
    )  # fmt: skip


def _seconds(saved: Artifact, session: Session) -> float:
    """Return how long one example takes, at best, by the recorded ones."""
    import numpy as np

    assert saved.files is not None
    probe = np.load(io.BytesIO(saved.files["probe.npz"]))
    given = {each["name"]: probe[f"input_{each['name']}"] for each in saved.card["inputs"]}
    took = []
    for _ in range(NUM_TIMED):
        begun = time.perf_counter()
        session(given)
        took.append(time.perf_counter() - begun)
    return min(took) / len(next(iter(given.values())))


def _session(saved: Artifact, threads: int) -> tuple[Session, Decoder | None]:
    """Return an opened artifact that has given its recorded answer once, and is warm by that."""
    try:
        session, decoder = artifact.open_served(saved, threads=threads)
        load.gap_to_recorded(saved, session)
    except WorkbenchError:
        raise
    except Exception as error:  # each runtime has errors of its own for files that are none
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise ArtifactError(
            f"{saved.folder} can't be opened: {first_line[:300]}", next_move="copy it anew, or run its job again"
        ) from error
    return session, decoder


def _read(folder: Path, trust: Trust) -> tuple[Artifact, str]:
    """Return an artifact whose content is in memory: what was checked is what is opened."""
    signer = ""
    if trust.keys is not None:
        saved, signer = load.load(folder, trust.keys, must_be_signed=trust.must_be_signed)
    elif encrypt.is_encrypted(folder):
        raise ArtifactError(f"{folder} is encrypted", next_move="name the folder of its keys: --protect KEYS")
    if trust.keys is None or saved.files is None:
        files = _gate.read(folder)
        saved = artifact.in_memory(folder, files)
    gate.check(saved, is_signed=bool(signer) or trust.keys is None)  # without keys whoever starts the server vouches
    if unknown := sorted(set(saved.files or ()) - set(saved.card["files"]) - {"card.json"}):
        raise ArtifactError(
            f"{folder} holds files that its card does not name: {', '.join(unknown)}", next_move="remove them"
        )
    return saved, signer
