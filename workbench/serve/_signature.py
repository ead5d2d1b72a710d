"""What tensors a model takes and gives, and whether a request's are such."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.open_inference import DATATYPES
from workbench.serve.refusal import Refusal

DTYPES = {protocol: np.dtype(name) for name, protocol in DATATYPES.items()}


@dataclass(frozen=True)
class Tensor:
    name: str
    datatype: str  # as the protocol calls it: FP32, INT64, …
    shape: tuple[int, ...]  # -1 = free

    @property
    def dtype(self) -> np.dtype[Any]:
        return DTYPES[self.datatype]


@dataclass(frozen=True)
class Signature:
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    max_batch: int  # 0 = requests can't share a batch, and have no batch axis
    finite_only: bool = True

    def check_request(self, names: Sequence[str], outputs: Sequence[str]) -> None:
        """Raise Refusal unless exactly the model's inputs are given, each once, and only its outputs wanted."""
        if sorted(names) != sorted(self.inputs):
            raise Refusal("invalid", f"inputs are {', '.join(self.inputs)}; given: {', '.join(names) or 'none'}")
        for name in outputs:
            if name not in self.outputs:
                raise Refusal("invalid", f"no output {name!r}; there are {', '.join(self.outputs)}")
        if len(set(outputs)) != len(outputs):
            raise Refusal("invalid", "an output is wanted twice")

    def check_tensor(self, name: str, datatype: str, shape: Sequence[int]) -> Tensor:
        """Return the input that is meant; raises Refusal for an unknown name, another datatype or a shape that doesn't fit."""
        tensor = self.inputs.get(name)
        if tensor is None:
            raise Refusal("invalid", f"no input {name!r}; there are {', '.join(self.inputs)}")
        if datatype != tensor.datatype:
            raise Refusal("invalid", f"input {name!r} is {tensor.datatype}, not {datatype}")
        fits = len(shape) == len(tensor.shape) and all(
            have == want or (want == -1 and have > 0) for have, want in zip(shape, tensor.shape)
        )
        if not fits:
            raise Refusal("invalid", f"input {name!r} has shape {list(tensor.shape)}, not {list(shape)}")
        if self.max_batch and shape[0] > self.max_batch:
            raise Refusal("invalid", f"at most {self.max_batch} examples in a request, not {shape[0]}")
        return tensor

    def check_values(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Raise Refusal for NaN and infinity where the model doesn't allow them, and for unequal numbers of examples."""
        if self.max_batch and len({len(array) for array in arrays.values()}) > 1:
            raise Refusal("invalid", "inputs hold different numbers of examples")
        if not self.finite_only:
            return
        for name, array in arrays.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise Refusal("invalid", f"input {name!r} holds NaN or infinity")


def of(card: Mapping[str, Any], *, max_batch: int, finite_only: bool) -> Signature:
    inputs, outputs = (
        {
            each["name"]: Tensor(
                each["name"],
                DATATYPES[each["dtype"]],
                tuple(size if isinstance(size, int) else -1 for size in each["shape"]),
            )
            for each in card[kind]
        }
        for kind in ("inputs", "outputs")
    )
    return Signature(inputs, outputs, max_batch, finite_only)
