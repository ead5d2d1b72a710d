"""Family `formats`: how a model is written and opened again, in one piece or token by token."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar, Protocol

from workbench.nouns import Examples, ModelCard, Quantization, StoredWeight
from workbench.part._part import Part, Session

if TYPE_CHECKING:
    import numpy as np
    from torch import nn


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
