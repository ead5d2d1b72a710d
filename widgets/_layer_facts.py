"""The facts of each layer of two runs as charts take them: what is kept comes at once, the rest is read from the files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workbench import diagnose
from workbench.charts.layers import LayersData, layers_data
from workbench.describe import model_card
from workbench.errors import InvalidInput
from workbench.job import Job
from workbench.nouns import Run


@dataclass(frozen=True)
class LayerFacts:
    """`notes` says of a layer why something of it is missing."""

    data: LayersData
    records: tuple[dict[str, Any], ...]
    notes: tuple[tuple[str, str], ...]

    @property
    def with_weights(self) -> list[str]:
        """The layers whose weights were counted, worst first."""
        counted = {record["layer"] for record in self.records if record.get("hist_after")}
        return [row.layer for row in self.data.rows if row.layer in counted]


def facts_at_hand(a: Run, b: Run) -> LayerFacts | None:
    """Return the facts of B against A when both files were looked at before; None when that takes a process."""
    against, alone = diagnose.kept_facts(b, a), diagnose.kept_facts(a, None)
    return None if against is None or alone is None else _joined(b, against, alone)


def read_facts(a: Run, b: Run) -> LayerFacts:
    """Return the same, reading both files in a process of its own; takes seconds."""
    return _joined(b, diagnose.layer_facts(b, a), diagnose.layer_facts(a, None))


def _joined(b: Run, against: list[dict[str, Any]], alone: list[dict[str, Any]]) -> LayerFacts:
    job = Job.from_json(b.job)
    layers = job.cards(model_card(job))[-1].layers
    records, before = _found(against), _found(alone)
    if not records:
        raise InvalidInput([f"no layer of {b.run_id} was found in its file under its own name"])
    notes = tuple((str(record["layer"]), str(record["note"])) for record in against if record["note"])
    return LayerFacts(layers_data(records, parent=before, layers=layers), tuple(records), notes)


def _found(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the layers that lie in the file under their own name."""
    return [record for record in records if record["shape"]]
