"""Real text that is on every machine: the source of Python's standard library, byte by byte."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any, Literal

from workbench import tokenizer
from workbench.data import _library_text, _splits
from workbench.errors import InvalidInput
from workbench.nouns import DataCard, Examples, Splits, TensorSpec
from workbench.params import param
from workbench.part import Data


class PythonSource(Data):
    """Each file lies in one part only. Files differ between Python versions: the card names version and content hash."""

    title = "Python's standard library"
    source = "the interpreter's own .py files"

    task: Literal["language_model", "which_module"] = param(
        "language_model", help="Predict the next byte, or tell which of ten packages a snippet is from"
    )
    length: int = param(128, help="Length of a sequence", unit="bytes", ge=8, le=4096)
    num_examples: int = param(
        4000, help="At most this many sequences in all four parts", unit="sequences", ge=100, le=200_000
    )
    seed: int = param(0, help="Seed of the split and of the choice of sequences", ge=0, le=2**31 - 1)

    @classmethod
    def sample(cls, folder: Path) -> dict[str, Any]:
        return {"length": 32, "num_examples": 200}

    def card(self) -> DataCard:
        groups, labels = self._groups(), self._labels()
        files = tuple(sorted(file for group in groups for file in group))
        content = _library_text.content_sha256(files)[:16]
        return DataCard(
            name=self.name(),
            task="text-classification" if labels else "language-modelling",
            inputs=(TensorSpec("tokens", "int64", ("batch", self.length)),),
            num_classes=len(labels) or tokenizer.NUM_BYTES,
            labels=labels,
            num_examples={part: sum(counts) for part, counts in self._counts().items()},
            licence="PSF-2.0",
            source=f"Python {platform.python_version()} standard library, {len(files)} files, sha256 {content}",
            tokens=tokenizer.tokens(""),
        )

    def load(self) -> Splits:
        import numpy as np

        random = np.random.default_rng(self.seed)
        dealt = [_library_text.deal(group, seed=self.seed) for group in self._groups()]
        loaded: dict[str, Examples] = {}
        for part, counts in self._counts().items():
            chosen = []
            for files, count in zip((each[part] for each in dealt), counts):
                found = _library_text.pieces(files, self._piece)
                chosen.append(found[np.sort(random.permutation(len(found))[:count])].astype(np.int64))
            loaded[part] = self._examples(chosen)
        number = {file: index for index, file in enumerate(sorted(file for group in self._groups() for file in group))}
        _splits.check_disjoint(
            {part: np.array([number[file] for each in dealt for file in each[part]]) for part in _splits.PARTS}
        )
        return Splits(**loaded)

    @property
    def _piece(self) -> int:
        """Bytes that one example takes: a language model's targets reach one further."""
        return self.length + (self.task == "language_model")

    def _labels(self) -> tuple[str, ...]:
        return tuple(_library_text.largest()) if self.task == "which_module" else ()

    def _groups(self) -> list[dict[str, int]]:
        """Return the files ({path: bytes}) of each class; one group of all files for a language model."""
        packages = _library_text.packages()
        if self.task == "which_module":
            return [packages[label] for label in self._labels()]
        return [{file: size for files in packages.values() for file, size in files.items()}]

    def _counts(self) -> dict[str, list[int]]:
        """Return part → examples of each group: equal shares, or all there are."""
        groups = self._groups()
        dealt = [_library_text.deal(group, seed=self.seed) for group in groups]
        counts = {}
        for part, wanted in _splits.sizes(self.num_examples).items():
            there = [_library_text.num_pieces(files[part], group, self._piece) for files, group in zip(dealt, groups)]
            counts[part] = [min(each, max(1, wanted // len(groups))) for each in there]
            if not all(counts[part]):
                raise InvalidInput([f"length={self.length}: the {part} part has files too short for one sequence"])
        return counts

    def _examples(self, chosen: list) -> Examples:  # type: ignore[type-arg]
        import numpy as np

        text = np.concatenate(chosen)
        if self.task == "language_model":
            return Examples({"tokens": np.ascontiguousarray(text[:, :-1])}, np.ascontiguousarray(text[:, 1:]))
        return Examples({"tokens": text}, np.repeat(np.arange(len(chosen)), [len(each) for each in chosen]))
