"""The nouns of the workbench as plain, frozen data: no torch, no widgets, no disk.

Sizes are bytes, durations seconds unless a name says otherwise; ratios say `this / other`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

BLOCKS = (16, 32, 64, 128, 256)  # weights per scale that kernels of packed weights know
SCHEMA = 1  # of job, run, event and card records

Status = Literal["planned", "running", "done", "failed", "cancelled", "lost"]
Task = Literal[
    "image-classification", "text-classification", "table-classification", "language-modelling", "unlabelled"
]


@dataclass(frozen=True)
class TensorSpec:
    """Name, dtype and shape of one input or output; a string in `shape` is a free size ("batch")."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Layer:
    """One weighted layer of a model, named as in the module tree."""

    name: str
    kind: Literal["linear", "conv", "embedding", "norm", "other"]
    weight_shape: tuple[int, ...]  # as stored
    num_params: int  # weight and bias
    macs: int | None = None  # multiply-accumulates for one example; None = not known before a run
    density: float = 1.0  # share of weights that are not zero
    zeros_together: int = 1  # neighbouring weights that are zero or not as one
    precision: str = "float32"
    packed_bytes: int = 0  # of weights stored in groups of a few bits, with scales and zero points; 0 = not packed
    head_width: int = 0  # of a projection of attention: outputs (of the last one: inputs) of one head; 0 = none
    prunable: bool = True  # steps leave biases, norms, embeddings (and what a model excepts) alone

    @property
    def num_weights(self) -> int:
        size = 1
        for extent in self.weight_shape:
            size *= extent
        return size


@dataclass(frozen=True)
class ModelCard:
    """What is known of a model without its weights: enough to say no, to estimate and to draw a form."""

    name: str
    task: Task
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    layers: tuple[Layer, ...]
    num_params: int
    precision: str = "float32"  # float32 | bfloat16 | int8 dynamic | int8 static | codebook | "int4 weights, group 32"
    licence: str = ""
    source: str = ""
    library: str = "torch"  # "transformers" when save_pretrained applies
    structure: Literal["original", "reshaped"] = "original"  # reshaped: no longer what its config builds
    pretrained: bool = False  # comes with weights that are worth something before any training
    kv_numbers: int = 0  # keys and values that a decoder keeps of each token; 0 = it is none, or this isn't known
    kv_precision: str = "float"  # what they are kept in: float (as computed) | int8 | int4
    notes: tuple[str, ...] = ()

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates per example over all layers; None if any layer's are unknown."""
        if any(layer.macs is None for layer in self.layers):
            return None
        return sum(layer.macs or 0 for layer in self.layers)

    def with_layers(self, layers: tuple[Layer, ...], **changes: Any) -> ModelCard:
        """Return this card with other layers, `num_params` following them."""
        moved = sum(layer.num_params for layer in layers) - sum(layer.num_params for layer in self.layers)
        return replace(self, layers=layers, num_params=self.num_params + moved, **changes)


@dataclass(frozen=True)
class DataCard:
    """What is known of a data set before it is loaded."""

    name: str
    task: Task
    inputs: tuple[TensorSpec, ...]  # with a leading "batch"
    num_classes: int  # vocabulary size for language models; 0 when unlabelled
    labels: tuple[str, ...] = ()
    num_examples: Mapping[str, int] = field(default_factory=dict)  # split -> count, where known
    licence: str = ""
    source: str = ""
    synthetic: bool = False


@dataclass(frozen=True)
class Examples:
    """Some examples: `inputs` by name, each with the examples on axis 0; `targets` int64 (N,) or (N, T), −100 = ignore."""

    inputs: Mapping[str, np.ndarray]
    targets: np.ndarray

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def take(self, index: Any) -> Examples:
        """Return the examples at `index` (a slice or an integer array)."""
        return Examples({name: array[index] for name, array in self.inputs.items()}, self.targets[index])


@dataclass(frozen=True)
class Splits:
    """The four parts of a data set; calibration and test never share an example."""

    train: Examples
    validation: Examples
    calibration: Examples
    test: Examples


def middle(bits: int) -> float:
    """Return the zero point of a symmetric grid: one of its levels; one bit has two levels, on either side of it."""
    return 2.0 ** (bits - 1) if bits > 1 else 0.5


@dataclass(frozen=True)
class Grid:
    """Where a layer's weights lie exactly: weight = (integer − zero) · scale in float32, with one scale per group."""

    integers: np.ndarray  # uint8 (outputs, inputs), each below 2 ** bits
    scales: np.ndarray  # float32 (outputs, groups)
    zeros: np.ndarray  # (outputs, groups), uint8; or float32, for zero points that lie between integers


@dataclass(frozen=True)
class Quantization:
    """How one layer's numbers are to be stored. Written by a step, lowered by a format's own library."""

    scheme: Literal["dynamic", "static", "cast", "codebook", "weight_only", "signs", "cache"]
    weights: str  # dtype of stored weights: int8, bfloat16, int4, codebook16 (of 16 shared values, zero not counted)
    activations: str  # dtype while running: int8, uint8, bfloat16, float32; signs
    granularity: Literal["tensor", "channel", "token"] = "tensor"
    calibration: str = ""  # range estimator for static schemes: minmax | percentile | entropy | mse (found by the step)
    num_calibration: int = 0  # examples
    kind: str = ""  # of the layer: linear | conv
    input_range: tuple[float, float] | None = None  # of a static scheme; None = the format finds it by `calibration`
    bias_corrected: bool = False  # the mean error of rounding the weights is already out of the biases
    output_range: tuple[float, float] | None = None  # likewise, for formats that store the layer's outputs as integers
    bits: int = 8  # of static weights too; what follows: of weight_only schemes and of signs (a scale for each output)
    group_size: int | None = None  # input weights that share a scale; None = all of an output channel
    symmetric: bool = True  # the zero point is always `middle(bits)`, and not stored
    float_zeros: bool = False  # zero points are float32, not integers of the grid
    grid: Grid | None = field(default=None, compare=False, repr=False)  # never None in weight_only schemes of a run

    def block(self, num_inputs: int) -> int:
        """Return how many weights share one *stored* scale: a power of two in the group that makes the fewest bytes.

        Files are padded to whole blocks, so a group that is much longer than what is left is stored as several. Rows of
        signs have one scale, and are padded to whole bytes.
        """
        if self.scheme == "signs":
            return -(-num_inputs * self.bits // 8) * 8 // self.bits
        return min(
            (size for size in BLOCKS if size <= (self.group_size or BLOCKS[-1])),
            key=lambda size: (self._row_bytes(num_inputs, size), -size),
        )

    def packed_bytes(self, num_outputs: int, num_inputs: int) -> int:
        """Return the bytes of a packed weight matrix with its scales and zero points."""
        return num_outputs * self._row_bytes(num_inputs, self.block(num_inputs))

    def _row_bytes(self, num_inputs: int, size: int) -> int:
        num_blocks = -(-num_inputs // size)
        zeros = 0 if self.symmetric else num_blocks * 4 if self.float_zeros else -(-num_blocks * self.bits // 8)
        return num_blocks * (size * self.bits // 8 + 4) + zeros


@dataclass(frozen=True)
class StoredWeight:
    """One layer's weight as it lies in a file; biases are not part of it."""

    values: np.ndarray  # float32, dequantized, shaped as in the module
    dtype: str  # of the stored numbers
    num_bytes: int  # stored numbers, with their scales and zero points


@dataclass(frozen=True)
class Cost:
    """Predicted cost of a model before anything runs."""

    artifact_bytes: int
    dense_bytes: int
    nonzero_params: int
    macs: int | None
    latency_ms_low: float | None = None
    latency_ms_high: float | None = None
    memory_bytes: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measurement:
    """One measured quantity with everything needed to read it: unit, direction, interval, n, conditions, samples."""

    name: str
    unit: str
    better: Literal["lower", "higher", "neither"]
    value: float
    lo: float | None = None  # ends of the interval; None where a value is exact
    hi: float | None = None
    interval: str = ""  # which interval: wilson95, "bootstrap95 of median"
    k: int | None = None  # successes, for shares
    n: int | None = None  # examples or samples behind the value
    samples_in: str = ""  # npz file in the run folder that keeps every sample
    conditions: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the record form: absent fields left out, `conditions` always there."""
        filled = {key: value for key, value in asdict(self).items() if value is not None and value != ""}
        return {**filled, "conditions": dict(self.conditions)}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Measurement:
        """Take over a record as it was read; raises TypeError on a foreign shape."""
        if not _is_measurement(tuple(record)):
            raise TypeError(f"not a measurement: {sorted(map(str, record.keys() ^ _NEEDED))}")
        record.setdefault("conditions", {})
        made = object.__new__(cls)
        object.__setattr__(
            made, "__dict__", record
        )  # a table reads a million; the frozen __init__ takes five times as long
        return made


_NEEDED = {"name", "unit", "better", "value"}


@lru_cache(maxsize=1024)
def _is_measurement(names: tuple[str, ...]) -> bool:
    """Say whether a record with these keys is one; runs have a dozen shapes of them."""
    return _NEEDED <= set(names) <= {field.name for field in fields(Measurement)}


@dataclass(frozen=True)
class Artifact:
    """A saved model: a folder that opens without this library."""

    folder: str  # absolute path
    card: Mapping[str, Any]  # card.json
    files: Mapping[str, bytes] | None = None  # content by path, when it is in memory; None = it lies in `folder`

    @property
    def format(self) -> str:
        return str(self.card["format"])


@dataclass(frozen=True)
class Run:
    """One carried-out job. Written once; `folder` is where it lies (not part of the record)."""

    run_id: str
    job_id: str
    status: Status
    job: Mapping[str, Any]
    parent: str | None = None  # run id of the same model as trained, same format; None for that run itself
    reference: str | None = None  # run id of that model's fp32 ONNX
    error: Mapping[str, Any] | None = None  # kind, signal, message, next, traceback; None unless failed
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    data_sha256: str = ""
    started: str = ""  # UTC, ISO 8601
    ended: str = ""
    cpu_seconds: Mapping[str, float] = field(default_factory=dict)
    cached: tuple[str, ...] = ()  # steps taken from the prefix cache
    controls: Mapping[str, Any] = field(default_factory=dict)  # e.g. the student trained alone beside a distilled one
    measurements: tuple[Measurement, ...] = ()
    artifact: str = ""  # "artifact/" when there is one
    log: str = ""
    folder: str = ""

    def get(self, name: str, **conditions: Any) -> Measurement | None:
        """Return the first measurement called `name` whose conditions include `conditions`; None if absent."""
        for found in self.measurements:
            if found.name == name and all(found.conditions.get(key) == value for key, value in conditions.items()):
                return found
        return None

    def to_json(self) -> dict[str, Any]:
        """Return the record as written to run.json."""
        record = {key: value for key, value in asdict(self).items() if key not in ("folder", "measurements")}
        record["cached"] = list(self.cached)
        record["measurements"] = [measurement.to_json() for measurement in self.measurements]
        return {"schema": SCHEMA, **record}

    @classmethod
    def from_json(cls, record: Mapping[str, Any], *, folder: str = "") -> Run:
        """Read a record; raises TypeError or KeyError on a foreign shape (the store reports and skips those)."""
        values = {key: value for key, value in record.items() if key != "schema"}
        values["measurements"] = tuple(map(Measurement.from_json, values.get("measurements", ())))
        values["cached"] = tuple(values.get("cached", ()))
        return cls(**values, folder=folder)
