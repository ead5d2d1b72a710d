"""Puts a model of somebody else behind our convention: inputs by the data's names in, one tensor of logits out."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from workbench.errors import WorkbenchError

TRANSFORMERS_NAMES = {"pixels": "pixel_values", "tokens": "input_ids"}  # ours → theirs; other names are kept

NO_PADDING = -1  # as pad_token_id it matches no token: then the last token stands for the text


class FitImages(nn.Module):
    """Brings images in [0, 1] into the form that `inner` wants: size, channels, mean and deviation."""

    def __init__(
        self,
        *,
        size: tuple[int, int] | None = None,  # None = as they come
        channels: int | None = None,  # None = as they come; else one channel is repeated
        mean: Sequence[float] = (),
        deviation: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.size, self.channels = size, channels
        self.mean: Tensor | None  # None = not normalised
        self.deviation: Tensor
        for name, values in (("mean", mean), ("deviation", deviation)):
            self.register_buffer(name, torch.tensor(values).view(1, -1, 1, 1) if values else None, persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        if self.channels is not None:
            pixels = pixels.expand(-1, self.channels, -1, -1)
        if self.size is not None:
            pixels = nn.functional.interpolate(pixels, self.size, mode="bilinear", align_corners=False)
        return pixels if self.mean is None else (pixels - self.mean) / self.deviation


class Wrapped(nn.Module):
    """`inner` with inputs called `names`, in that order; `renamed=None` hands them on by position.

    The instance's class is made for its input names, so that exporters see them in the signature of `forward`.
    """

    def __init__(
        self,
        inner: nn.Module,
        names: Sequence[str],
        *,
        renamed: Mapping[str, str] | None = None,
        fit: nn.Module | None = None,
        reference: str = "",  # a person's function that made `inner`: imported again before its classes are unpickled
    ) -> None:
        super().__init__()
        self.inner = inner
        self.fit = fit
        self.names, self.reference = tuple(names), reference
        self.renamed = None if renamed is None else dict(renamed)
        self.__class__ = _with_signature(self.names)

    def __reduce__(self) -> Any:
        return _empty, (self.names, self.reference), self.__dict__

    def predict(self, given: dict[str, Tensor]) -> Tensor:
        """Return the logits for inputs by our names."""
        if self.fit is not None:
            given["pixels"] = self.fit(given["pixels"])
        if self.renamed is None:
            return only_logits(self.inner(*(given[name] for name in self.names)))
        return only_logits(self.inner(**{self.renamed.get(name, name): given[name] for name in self.names}))


def only_logits(output: Any) -> Tensor:
    """Return the one tensor of logits in what a model returned."""
    if isinstance(output, Tensor):
        return output
    if isinstance(getattr(output, "logits", None), Tensor):
        return output.logits
    if isinstance(output, Mapping) and isinstance(output.get("logits"), Tensor):
        return output["logits"]
    if isinstance(output, tuple | list) and output and isinstance(output[0], Tensor):
        return output[0]
    raise WorkbenchError(
        f"forward returned {type(output).__name__}, in which there are no logits",
        next_move="return one tensor (N, classes), or something with .logits",
    )


@functools.cache
def _with_signature(names: tuple[str, ...]) -> type[Wrapped]:
    """Return a subclass whose `forward` takes exactly `names`, by position or by keyword."""

    def forward(self: Wrapped, *args: Tensor, **named: Tensor) -> Tensor:
        return self.predict(signature.bind(self, *args, **named).arguments | {"self": None})

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature([inspect.Parameter(name, kind) for name in ("self", *names)])
    forward.__signature__ = signature  # type: ignore[attr-defined]
    return type("Wrapped", (Wrapped,), {"forward": forward, "__module__": __name__})


def _empty(names: tuple[str, ...], reference: str) -> Wrapped:
    """Make a Wrapped without content, to be filled by unpickling or copying."""
    if reference:
        from workbench.reference import load

        load(reference)
    cls = _with_signature(names)
    return cls.__new__(cls)
