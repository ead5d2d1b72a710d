"""Family `compress`: one change to a model, and what it may ask for while it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from workbench.extents import Extents
from workbench.nouns import DataCard, ModelCard, Quantization, Splits
from workbench.part._model import Model
from workbench.part._part import Part

if TYPE_CHECKING:
    from torch import Tensor, nn

    from workbench.streamed import Streamed


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

    def why_not_spread(self, extents: Extents) -> list[str]:
        """Return reasons against this step under a layout that splits so; a step that trains nothing is done by one process."""
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
