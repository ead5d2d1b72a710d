"""What a person can pick: the families of parts and the promises each one makes.

A part is one file in its family's folder. Its fields are its parameters. Declarations, `why_not`, `preview` and `card`
must not import torch: thousands of them are asked while a panel is open.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar, Protocol

from workbench.extents import Extents
from workbench.nouns import Artifact, DataCard, Examples, Measurement, ModelCard, Quantization, Splits, StoredWeight
from workbench.params import Params

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from workbench.spread import Spread
    from workbench.streamed import Streamed

Session = Callable[[Mapping[str, "np.ndarray"]], "dict[str, np.ndarray]"]
"""An opened artifact: named input arrays → named output arrays."""


class Part(Params):
    """A thing that can be picked. Its name is its file's name."""

    family: ClassVar[str] = ""
    title: ClassVar[str] = ""  # a few words, for menus
    source: ClassVar[str] = ""  # paper, equation or library; "" only for plumbing
    requires: ClassVar[tuple[str, ...]] = ()  # import names that must be present
    extra: ClassVar[str] = ""  # pip extra of this project that brings `requires`
    searched: ClassVar[Mapping[str, tuple[Any, ...]]] = {}  # values that a search tries, by parameter; others: default

    @classmethod
    def name(cls) -> str:
        return cls.__module__.rpartition(".")[2]

    @classmethod
    def missing(cls) -> list[str]:
        """Return why this part can't be used in this installation; empty when it can."""
        absent = [name for name in cls.requires if importlib.util.find_spec(name) is None]
        if not absent:
            return []
        command = f"pip install 'workbench[{cls.extra}]'" if cls.extra else f"pip install {' '.join(absent)}"
        return [f"{cls.name()} needs {', '.join(absent)}: {command}"]

    @classmethod
    def sample(cls, folder: Path) -> dict[str, Any]:
        """Return parameters that make a small working instance, writing needed files into `folder`."""
        return {}

    def problems_with(self, nested: Mapping[str, Part]) -> list[str]:
        """Return what in this part's values doesn't fit the parts inside it, each as `parameter: problem`.

        `nested` holds those parts by parameter. A part can't ask another family; the catalog makes them and asks it.
        """
        return []

    def to_json(self) -> dict[str, Any]:
        """Return `{"use": name, **parameters}`, all defaults filled in."""
        return {"use": self.name(), **self.model_dump(mode="json")}


class Model(Part):
    """Family `zoo`: where a model comes from."""

    family = "zoo"
    tasks: ClassVar[tuple[str, ...]] = ("image-classification",)  # tasks of data it can take
    licence: ClassVar[str] = ""
    pretrained: ClassVar[bool] = False  # its weights are worth something before any training
    card_needs_module: ClassVar[bool] = False  # True: only a worker can make the card, from the module itself

    def why_not(self, data: DataCard) -> list[str]:
        """Return reasons against this model on this data; empty means yes."""
        if data.task not in self.tasks:
            return [f"{self.name()} takes {' or '.join(self.tasks)} data, {data.name} is {data.task}"]
        return []

    def card(self, data: DataCard) -> ModelCard:
        """Return what is known without weights, for inputs shaped as in `data`."""
        raise NotImplementedError

    def build(self, data: DataCard) -> nn.Module:
        """Return a freshly initialised (or pretrained) float32 module: inputs by name → output tensor (logits).

        The caller has seeded torch. Classification returns (N, classes), language models (N, T, vocabulary).
        """
        raise NotImplementedError

    def source_files(self) -> list[Path]:
        """Return a person's own files that decide what `build` returns (they enter the cache key)."""
        return []


class Data(Part):
    """Family `data`: one task with its fixed, seeded splits."""

    family = "data"

    def card(self) -> DataCard:
        raise NotImplementedError

    def load(self) -> Splits:
        """Return the splits; the same parameters give the same arrays, bit for bit."""
        raise NotImplementedError


class Context(Protocol):
    """What a step may ask for while it runs. Bench supplies it."""

    data: Splits
    data_card: DataCard
    device: str
    seed: int

    def say(
        self,
        text: str = "",
        *,
        done: int = 0,
        total: int = 0,
        unit: str = "",
        values: Mapping[str, float] | None = None,
        sums: Mapping[str, float] | None = None,
    ) -> None:
        """Report progress; also the point where a cancelled or paused worker stops or waits."""

    def cancelled(self) -> bool: ...

    def train(self, model: nn.Module, **options: Any) -> dict[str, float]:
        """Run the one training loop (`workbench.train.fit`) on the train split; returns its last values."""

    def weights(self, model: nn.Module) -> list[tuple[str, Tensor]]:
        """List (layer name, weight) of prunable layers: no biases, norms, embeddings. Weights may be edited in place."""

    def quantize(self, layer: str, how: Quantization) -> None:
        """Record how a layer is to be stored; the format lowers it."""

    def control(self, name: str, model: nn.Module) -> None:
        """Record the validation and test predictions of a control model inside this run."""

    def load(self, ref: Any, *, epochs: int = 0) -> nn.Module:
        """Return the trained float model of a run (`run:ID`) or of a zoo part trained for `epochs` (cached)."""

    def build(self, ref: Any) -> nn.Module:
        """Return a freshly initialised zoo model for this data."""


TRAINED_AT_ONCE = 64  # examples of an update where a step that trains doesn't say, as in `train.fit`


class Step(Part):
    """Family `compress`: one change to a model. `why_not` and `preview` see the card only."""

    family = "compress"
    precision: ClassVar[bool] = False  # decides how numbers are stored; only such steps may follow it
    trains: ClassVar[bool] = False  # plain training: leading ones make the "as trained" parent
    couples: ClassVar[bool] = False  # changes layers together only: no layer can have a level of its own in a recipe

    def why_not(self, card: ModelCard) -> list[str]:
        """Return reasons in words; empty means yes."""
        return []

    def preview(self, card: ModelCard) -> ModelCard:
        """Return the card as it will be after this step."""
        return card

    @property
    def spreads(self) -> bool:
        """Whether it trains in a way that may be spread over processes: every process of a job runs it then."""
        return False

    def why_not_spread(self) -> list[str]:
        """Return reasons against this step in a job under a layout; a step that trains nothing is done by one process."""
        return []

    @classmethod
    def recovery(cls, model: Model, trained: Sequence[Step], epochs: int) -> dict[str, Any] | None:
        """Return the record with which this step lets a changed model recover for `epochs`; None = that isn't its use.

        `trained` are the steps that trained `model` before it was changed.
        """
        return None

    def only(self, layer: str, layers: Sequence[str]) -> list[str]:
        """Return the `skip` with which this step changes `layer` alone, of all prunable `layers` in their order."""
        return [name for name in layers if name != layer]

    def replacement(self) -> Any:
        """Return the zoo record of the model that takes the place of the one so far; None = that one stays.

        A step can't ask the zoo for a card; the job does, and takes it instead of `preview`.
        """
        return None

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Change `model` (owned: in place is fine) and return it; raise when in the end nothing changed."""
        raise NotImplementedError

    def stream(self) -> Streamed | str:
        """Return how a checkpoint's matrices are changed one by one, without torch; or in words why this step can't."""
        return f"{self.name()} needs the model at work: it can't change a checkpoint tensor by tensor"

    def describe(self) -> str:
        """Return a few words for a chart label, such as `prune 80 %`."""
        return self.title


class SaveContext(Protocol):
    """What a format gets beside the model."""

    card: ModelCard
    example: Mapping[str, np.ndarray]  # a batch of ≥ 2 real inputs
    calibration: Examples
    quantization: Mapping[str, Quantization]  # by layer name; empty = float32
    seed: int


class Reading(Protocol):
    """One text that a decoder has read so far, with the keys and values that it keeps; dropping it frees them."""

    logits: np.ndarray  # (vocabulary,) of the token that comes next

    def go_on(self, token: int) -> np.ndarray:
        """Read one more token; returns the new `logits`."""

    def cache_bytes(self) -> int:
        """Return the bytes of the keys and values that are kept now, scales included."""


@dataclass(frozen=True)
class Decoder:
    """A language model that goes on from what it has read, token by token."""

    read: Callable[[Sequence[int]], Reading]  # takes the tokens to begin with
    context: int  # most tokens that it can hold, the first ones included
    vocabulary: int
    ends: frozenset[int]  # tokens that end a text


class Format(Part):
    """Family `formats`: how a model is written, and how that file is opened again."""

    family = "formats"
    runtime: ClassVar[tuple[str, ...]] = ()  # distributions that opening needs, nothing else
    tolerance: ClassVar[float] = 1e-3  # largest gap, relative to the largest output, that load.py accepts
    load_script: ClassVar[str] = ""  # text of load.py: the runtime's own library only
    decodes: ClassVar[bool] = False  # opens language models for going on token by token, keeping what was read
    is_program: ClassVar[bool] = False  # opening its files can run what they say: only signed ones of others are opened

    def why_not(self, card: ModelCard) -> list[str]:
        return []

    def save(self, model: nn.Module, folder: Path, ctx: SaveContext) -> dict[str, Any]:
        """Write the files; return `{"weights": …, "activations": …, "simulated": bool}` as read back from them."""
        raise NotImplementedError

    def open(self, folder: Path, *, threads: int = 1) -> Session:
        """Open what `save` wrote, without torch unless the format is torch's own."""
        raise NotImplementedError

    def open_from(self, files: Mapping[str, bytes], *, threads: int = 1) -> Session:
        """Open the same from content in memory, by its path in the folder, and write nothing anywhere."""
        raise NotImplementedError

    def unsafe(self, files: Mapping[str, IO[bytes]]) -> list[str]:
        """Return what the files of an artifact, by name, could do besides computing; empty when nothing."""
        return []

    def decoder(self, folder: Path, *, threads: int = 1) -> Decoder | None:  # None = it is no causal language model
        """Open what `save` wrote for going on token by token; asked of formats that say `decodes`."""
        raise NotImplementedError

    def decoder_from(
        self, files: Mapping[str, bytes], *, threads: int = 1
    ) -> tuple[Session, Decoder | None]:  # None = it is no language model, or this runtime keeps nothing between tokens
        """Open the same as `open_from`, once, also for going on token by token."""
        return self.open_from(files, threads=threads), None

    def scrub(self, folder: Path) -> list[str]:
        """Remove from the files, in place, what no runtime reads; returns what was removed, in words."""
        return []

    def lower_again(self, source: Path, folder: Path, ctx: SaveContext) -> bool:
        """Write into `folder` what `save` would for the very float module whose float files lie in `source`.

        For formats that get there quicker than by saving anew; False = nothing was written.
        """
        return False

    def stored(self, folder: Path) -> dict[str, StoredWeight]:
        """Return the weight of every layer found in the files, by its name in the module tree."""
        raise NotImplementedError

    def weights(self, folder: Path) -> dict[str, np.ndarray]:
        """Return the same as float32 arrays alone, shaped as in the module."""
        return {layer: weight.values for layer, weight in self.stored(folder).items()}

    def layer_ms(self, folder: Path, inputs: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Return milliseconds in each layer by the runtime's own profiler, one thread; empty when it has none."""
        return {}


class MeasureContext(Protocol):
    """What a metric gets: artifacts, never modules."""

    artifact: Artifact
    parent: Artifact | None  # same model as trained, same format; None when this run is it, or there is none
    reference: Artifact | None  # that model's fp32 ONNX; None when this run is it, or there is none
    data: Splits
    data_card: DataCard
    folder: Path  # the run folder: samples go to folder/"samples"
    seed: int
    layers: tuple[str, ...]  # prunable ones after the job's own steps, in the model's order

    def open(self, artifact: Artifact, *, threads: int = 1) -> Session: ...

    def fresh(self, function: str, artifacts: list[Artifact], *, threads: int = 1, **options: Any) -> Any:
        """Call `module:function(sessions, **options)` in a new process; `sessions` open the artifacts lazily.

        With `decoding=True` they open them as decoders.
        """

    def prepare(self, function: str, artifacts: list[Artifact], *, threads: int = 1, **options: Any) -> Any:
        """Start such a process (a context manager) whose function is a generator that yields when it is prepared.

        `wait_until_ready()` returns at the yield; `answer()` lets it go on and returns its value.
        """

    def exclusive(self) -> Any:
        """Context manager: hold the machine-wide lock; yields a dict that says whether we were alone."""

    def predictions(self, split: str) -> np.ndarray:
        """Return the artifact's outputs on a split (computed once per run)."""
        ...

    def changed(self, step: Any, split: str, *, layer: str = "") -> np.ndarray:
        """Return outputs on a split after one more step (a part or its record), which is not saved.

        With `layer` the step skips every other one. A precision step is really lowered by the job's format; any other is
        tried in torch. Raises InvalidInput with the reasons against that step, WorkbenchError when it changed nothing.
        """
        ...

    def keep(self, file: str, **arrays: Any) -> str:
        """Add arrays to `samples/<file>` of the run; returns that relative path for `samples_in`."""

    def say(self, text: str = "", *, done: int = 0, total: int = 0, unit: str = "") -> None: ...


class Metric(Part):
    """Family `measure`: one quantity (or a few that come from one measurement) of a saved artifact."""

    family = "measure"
    decodes: ClassVar[bool] = False  # measures going on token by token: only of files in formats that do

    def why_not(self, data: DataCard) -> list[str]:
        return []

    def tries(self) -> list[dict[str, Any]]:
        """Return records of further steps that it tries (`ctx.changed`), for the job to refuse beforehand.

        Such a metric looks at this job alone: parent and reference are carried out without it.
        """
        return []

    def measure(self, ctx: MeasureContext) -> list[Measurement]:
        raise NotImplementedError


class Launcher(Part):
    """Family `launch`: how a worker starts. It gets a job file and a store, and knows nothing of what is in them."""

    family = "launch"

    @property
    def num_processes(self) -> int:
        """How many processes join in one job; those of a launcher that says 1 can't be spread over."""
        return 1

    def why_not(self) -> list[str]:
        """Return reasons against starting anything so; empty means yes."""
        return []

    @property
    def updates_between_checkpoints(self) -> int:
        """How often what a training needs to go on is written; 0 = never."""
        return 0

    def preview(self, draft: Path, store: Path) -> str:
        """Return what `submit` would hand to an engine, as text; empty where this machine starts processes itself."""
        return ""

    def submit(self, draft: Path, store: Path) -> Any:
        """Start a worker on `draft` (which holds job.json); returns a handle with `poll()`, `wait()`, `cancel()`."""
        raise NotImplementedError


class Layout(Part):
    """Family `layout`: how the training of one model is spread over the processes of a job."""

    family = "layout"

    def extents(self, num_processes: int) -> Extents:
        """Return how many ways each axis splits over so many processes; what isn't right `why_not` says."""
        raise NotImplementedError

    def why_not(self, card: ModelCard, *, num_processes: int, batch_size: int) -> list[str]:
        """Return reasons against training this model so, with `batch_size` examples in an update of all processes."""
        raise NotImplementedError

    def rank_bytes(
        self, card: ModelCard, *, num_processes: int, batch_size: int, optimizer: str
    ) -> list[dict[str, float]]:
        """Return the bytes that each process will need, by part, at the fullest moment of an update; rank 0 first."""
        raise NotImplementedError

    def traffic(self, card: ModelCard, *, num_processes: int, batch_size: int) -> dict[str, tuple[float, float]]:
        """Return (bytes, calls) that each process sends for one update, by axis."""
        raise NotImplementedError

    def spread(self, folder: Path, *, every: int) -> Spread:
        """Return what the training loop asks; torch.distributed is initialised by then, with every process in it.

        Checkpoints of a training that hasn't ended are in `folder`, whatever layout it began under; one is written `every`
        so many updates.
        """
        raise NotImplementedError


FAMILIES: dict[str, type[Part]] = {base.family: base for base in (Model, Data, Step, Format, Metric, Launcher, Layout)}


def class_matches_file(cls: type[Part], stem: str) -> bool:
    """Say whether a class is named after its file: `MagnitudePrune` in `magnitude_prune.py`."""
    return cls.__name__.lower() == re.sub(r"_", "", stem).lower()
