"""The three metrics on a real run: real artifacts, real fresh processes, figures in the record."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workbench.bench import carry_out
from workbench.job import Job
from workbench.store import Store


def test_a_pruned_run_is_counted_metered_and_held_against_its_parent(tmp_path: Path) -> None:
    job = Job.from_json({
        "model": {"use": "lenet_300_100"}, "data": {"use": "digits"},
        "steps": [{"use": "train", "epochs": 1}, {"use": "magnitude_prune", "sparsity": 0.5}],
        "metrics": [
            {"use": "throughput", "windows": 3, "restarts": 1}, {"use": "energy", "windows": 3, "restarts": 1, "seconds": 0.02},
            {"use": "fidelity"},
        ],
    })  # fmt: skip
    store = Store(tmp_path)
    run = carry_out(job, store)
    assert run.status == "done", run.error
    names = {each.name: each for each in run.measurements}
    assert set(names) == {"throughput", "energy_joules", "cosine", "kl_divergence", "largest_gap"}
    assert 0.5 < names["cosine"].value < 1 and names["largest_gap"].value > 0
    for each in names.values():
        with np.load(Path(run.folder) / each.samples_in) as samples:
            assert all(samples[name].size for name in samples.files)
    assert run.parent is not None
    assert not {"cosine", "kl_divergence"} & {each.name for each in store.get(run.parent).measurements}
