"""The folder that a stranger can open: model files, card.json, a probe with its recorded output, load.py."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from workbench import catalog, tokenizer
from workbench.context import SavingContext, contiguous
from workbench.errors import ArtifactError
from workbench.job import Job
from workbench.nouns import SCHEMA, Artifact, ModelCard, Splits, TensorSpec
from workbench.part import Decoder, Format, Session
from workbench.prefix import State
from workbench.store import write_json

PROBE_EXAMPLES = 4
ENCRYPTED = "encrypted.json"  # in place of a card: what `workbench.protect.encrypt` writes
# Ours, programs among them, and how text became tokens; any other file is needed to predict.
OUR_FILES = (
    "card.json",
    "probe.npz",
    "load.py",
    "decode.py",
    "xnor.py",
    "kv_cache.py",
    tokenizer.FILE,
    tokenizer.CONFIG,
)


def save(job: Job, card: ModelCard, state: State, splits: Splits, draft: Path) -> Artifact:
    """Write `draft/artifact`, prove that it opens, and return it.

    The probe's output is recorded by the format's own runtime. Raises ArtifactError when a float artifact disagrees with
    the model in torch by more than the format's tolerance.
    """
    import numpy as np

    folder = draft / "artifact"
    folder.mkdir()
    example = contiguous(splits.calibration.take(slice(0, PROBE_EXAMPLES)).inputs)
    expected = _torch_output(state.model, example)
    saving = SavingContext(card, example, splits.calibration, state.quantization, job.seed)
    record = _card(job, card, draft)
    write_json(folder / "card.json", record)  # formats read input names from it
    stored = job.format.save(state.model, folder, saving)
    output = job.format.open(folder)(example)["logits"]
    gap = largest_gap(output, expected)
    if not state.quantization and not gap <= job.format.tolerance:
        raise ArtifactError(
            f"the saved {job.format.name()} file disagrees with torch: gap {gap:.2e}, allowed {job.format.tolerance:.0e}",
            next_move="choose another format",
        )
    arrays: Any = {f"input_{name}": array for name, array in example.items()}
    np.savez(folder / "probe.npz", output=output, **arrays)
    (folder / "load.py").write_text(job.format.load_script)
    tokens = job.data.card().tokens
    if tokens and tokens.tokenizer:  # whoever opens the model reads and writes text as it does
        for name, content in tokenizer.read(tokens.tokenizer).files.items():
            (folder / name).write_bytes(content)
    recorder = f"{job.format.runtime[0]} {record['needs'][job.format.runtime[0]]}"
    record["precision"] = stored
    record["probe"] = {
        "file": "probe.npz", "recorded_by": recorder, "tolerance": job.format.tolerance, "gap_to_torch": gap,
    }  # fmt: skip
    record["files"] = described(folder)
    write_json(folder / "card.json", record)
    return Artifact(str(folder), record)


def read(folder: Path) -> Artifact:
    """Return a saved artifact; raises ArtifactError when its card is missing or broken."""
    if (folder / ENCRYPTED).exists():
        raise ArtifactError(f"{folder} is encrypted", next_move=f"workbench protect decrypt {folder} TO --keys KEYS")
    try:
        content = (folder / "card.json").read_bytes()
    except OSError as error:
        raise _no_artifact(folder, error) from None
    return Artifact(str(folder), _parsed(folder, content))


def in_memory(folder: Path, files: Mapping[str, bytes]) -> Artifact:
    """Return an artifact whose content is in memory, by path; `folder` only says where it came from."""
    return Artifact(str(folder), _parsed(folder, files.get("card.json", b"")), files)


def verify(artifact: Artifact) -> list[str]:
    """Return what differs from the card: files that are missing, changed or truncated; empty when whole."""
    problems = []
    for name, facts in artifact.card["files"].items():
        num_bytes = _num_bytes(artifact, name)
        if num_bytes is None:
            problems.append(f"{name} is missing")
        elif num_bytes != facts["bytes"]:
            problems.append(f"{name} has {num_bytes} bytes, the card says {facts['bytes']}")
        elif _digest(artifact, name) != facts["sha256"]:
            problems.append(f"{name} was changed: its sha256 differs from the card")
    return problems


def open_session(artifact: Artifact, threads: int = 1) -> Session:
    """Open an artifact with its own format after checking its files; one in memory is not written anywhere."""
    made = _checked(artifact)
    if artifact.files is not None:
        return made.open_from(artifact.files, threads=threads)
    return made.open(Path(artifact.folder), threads=threads)


def open_served(
    artifact: Artifact, threads: int = 1
) -> tuple[Session, Decoder | None]:  # None = it can't go on from a text
    """Open an artifact in memory, once, for whole inputs and for going on token by token."""
    assert artifact.files is not None
    return _checked(artifact).decoder_from(artifact.files, threads=threads)


def open_decoder(artifact: Artifact, threads: int = 1) -> Decoder:
    """Open an artifact on disk for going on token by token; raises ArtifactError when it can't."""
    made = _checked(artifact)
    found = made.decoder(Path(artifact.folder), threads=threads) if made.decodes else None
    if found is None:
        raise ArtifactError(
            f"{artifact.folder} ({artifact.format}) keeps nothing between tokens",
            next_move="choose a language model and format hugging_face",
        )
    return found


def _checked(artifact: Artifact) -> Format:
    """Return the format of an artifact whose files are as its card says."""
    if problems := verify(artifact):
        raise ArtifactError(f"{artifact.folder}: {'; '.join(problems)}", next_move="run the job again: --again")
    made = catalog.make("formats", artifact.card["format_record"])
    assert isinstance(made, Format)
    return made


def described(folder: Path) -> dict[str, Any]:
    """Return sha256 and bytes of every file but the card itself; `needed` ones are what predicting takes."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "card.json")
    return {
        str(path.relative_to(folder)): {
            "sha256": sha256(path),
            "bytes": path.stat().st_size,
            "needed": path.name not in OUR_FILES,
        }
        for path in paths
    }


def largest_gap(output: Any, expected: Any) -> float:
    """Return max |output − expected| relative to the larger of 1 and max |expected|."""
    import numpy as np

    return float(np.abs(output - expected).max() / max(1.0, np.abs(expected).max()))


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _parsed(folder: Path, content: bytes) -> dict[str, Any]:
    try:
        card = orjson.loads(content)
        assert card["schema"] == SCHEMA
    except (orjson.JSONDecodeError, KeyError, TypeError, AssertionError) as error:
        raise _no_artifact(folder, error) from None
    return card


def _no_artifact(folder: Path, error: Exception) -> ArtifactError:
    return ArtifactError(f"{folder} is no artifact of this version ({type(error).__name__}: {error})")


def _num_bytes(artifact: Artifact, name: str) -> int | None:
    """None = there is no such file."""
    if artifact.files is not None:
        return len(artifact.files[name]) if name in artifact.files else None
    path = Path(artifact.folder) / name
    return path.stat().st_size if path.exists() else None


def _digest(artifact: Artifact, name: str) -> str:
    if artifact.files is not None:
        return hashlib.sha256(artifact.files[name]).hexdigest()
    return sha256(Path(artifact.folder) / name)


def _torch_output(model: Any, example: dict[str, Any]) -> Any:
    import torch

    with torch.no_grad():
        return model.eval()(**{name: torch.from_numpy(array) for name, array in example.items()}).float().numpy()


def _card(job: Job, card: ModelCard, draft: Path) -> dict[str, Any]:
    data = job.data.card()
    return {
        "schema": SCHEMA,
        "title": f"{type(job.model).title} on {data.name}: {job.recipe()}, {job.format.name()}",
        "run_id": draft.name.removeprefix(".draft-"),
        "task": card.task,
        "labels": list(data.labels),
        "licence": card.licence,
        "source": card.source,
        "format": job.format.name(),
        "format_record": job.format.to_json(),
        "needs": {name: importlib.metadata.version(name) for name in job.format.runtime},
        "inputs": [_tensor(each) for each in card.inputs],
        "outputs": [_tensor(each) for each in card.outputs],
        "recipe": [step.to_json() for step in job.steps],
        "model": job.model.to_json(),
        "data": job.data.to_json(),
    }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape)}
