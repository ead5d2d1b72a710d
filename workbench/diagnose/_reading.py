"""Runs in a fresh process: reads two artifacts' weights, and times the layers of one."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from workbench import artifact, catalog
from workbench.nouns import StoredWeight
from workbench.part import Format

BINS = 64
REMOVED = "channels were removed: {before} became {after}"
FOLDED = "one of the two formats folds normalisation into its convolutions, so their weights can't be compared"

Weights = Mapping[str, StoredWeight]


def facts(
    _sessions: list[Any], *, folder: str, parent: str | None, layers: list[dict[str, Any]]
) -> Generator[None, None, list[dict[str, Any]]]:
    """Compare the weights, yield, and time the layers when told; rows as in `layer_facts`."""
    made, after = _stored(folder)
    before = _stored(parent)[1] if parent else None
    foreign = before is not None and _norms(after, layers) != _norms(before, layers)
    rows = [_row(layer, after, before, foreign) for layer in layers if layer["prunable"] or layer["name"] in after]
    inputs = _one_example(Path(folder))
    yield
    taken = made.layer_ms(Path(folder), inputs)
    return [{**row, "ms": taken.get(row["layer"])} for row in rows]


def _stored(folder: str) -> tuple[Format, Weights]:
    made = catalog.make("formats", artifact.read(Path(folder)).card["format_record"])
    assert isinstance(made, Format)
    return made, made.stored(Path(folder))


def _norms(weights: Weights, layers: list[dict[str, Any]]) -> set[str]:
    return {layer["name"] for layer in layers if layer["kind"] == "norm" and layer["name"] in weights}


def _one_example(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "probe.npz") as probe:
        named = {name.removeprefix("input_"): probe[name] for name in probe.files if name.startswith("input_")}
    return {name: np.ascontiguousarray(array[:1]) for name, array in named.items()}


def _row(layer: dict[str, Any], after: Weights, before: Weights | None, foreign: bool) -> dict[str, Any]:
    found = after.get(layer["name"])
    row = dict.fromkeys(("sqnr_db", "cosine", "hist_before", "hist_after", "hist_edges"))
    row |= {"layer": layer["name"], "kind": layer["kind"], "note": ""}
    row |= {"shape": [], "precision": "", "num_params": 0, "bytes": 0, "nonzero": 0}
    if found is None:
        return {**row, "note": "not found in the file under this name"}
    values = found.values
    row |= {"shape": list(values.shape), "precision": found.dtype, "num_params": values.size, "bytes": found.num_bytes}
    row["nonzero"] = int(np.count_nonzero(values))
    old = before.get(layer["name"]) if before is not None else None
    note = _why_not(layer, found, old, foreign) if before is not None else ""
    paired = old.values if old is not None and not note else None
    row |= _histograms(values, paired)
    if paired is not None:
        row |= _error(values.astype(np.float64), paired.astype(np.float64))
    return {**row, "note": note or row["note"]}


def _why_not(layer: dict[str, Any], new: StoredWeight, old: StoredWeight | None, foreign: bool) -> str:
    """Return why two weights can't be compared; empty when they can."""
    if old is None:
        return "the parent has no such layer"
    if old.values.shape != new.values.shape:
        return REMOVED.format(
            before=" × ".join(map(str, old.values.shape)), after=" × ".join(map(str, new.values.shape))
        )
    return FOLDED if foreign and layer["kind"] == "conv" else ""


def _error(after: np.ndarray, before: np.ndarray) -> dict[str, Any]:
    """Return signal power over error power in dB, and the cosine; equal weights have no error to speak of."""
    power, error = float((before**2).sum()), float(((after - before) ** 2).sum())
    lengths = float(np.linalg.norm(after) * np.linalg.norm(before))
    cosine = float((after * before).sum() / lengths) if lengths else None
    if not error:
        return {"cosine": cosine, "note": "unchanged"}
    return {"sqnr_db": float(10 * np.log10(power / error)) if power else None, "cosine": cosine}


def _histograms(after: np.ndarray, before: np.ndarray | None) -> dict[str, Any]:
    """Return counts over bins that both share."""
    both = [after] if before is None else [after, before]
    edges = np.histogram_bin_edges(np.concatenate([each.ravel() for each in both]), BINS)
    counts = [np.histogram(each, edges)[0].tolist() for each in both]
    return {
        "hist_edges": edges.tolist(),
        "hist_after": counts[0],
        "hist_before": counts[1] if len(counts) > 1 else None,
    }
