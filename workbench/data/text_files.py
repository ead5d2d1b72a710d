"""A person's own texts for a language model: one file, or the files of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import tokenizer
from workbench.data import _library_text, _splits
from workbench.errors import InvalidInput
from workbench.nouns import DataCard, Examples, Splits, TensorSpec
from workbench.params import param
from workbench.part import Data

if TYPE_CHECKING:
    import numpy as np

ENOUGH_FILES = 10  # of so many, each lies in one part only


class TextFiles(Data):
    """Texts are read by a checkpoint's own tokenizer, or byte by byte, and cut into sequences that don't overlap.

    Ten files or more are dealt out whole; of fewer, each is cut in four stretches: train, validation, calibration, test.
    """

    title = "Text files"
    source = "your own files"

    path: str = param(..., help="A text file (UTF-8), or a folder")
    pattern: str = param("*.txt", help="Which files of a folder, those of its subfolders too")
    tokenizer: str = param("", help="Folder of a checkpoint whose tokenizer reads the texts; empty = their bytes")
    length: int = param(128, help="Length of a sequence", unit="tokens", ge=8, le=131_072)
    num_examples: int = param(
        4000, help="At most this many sequences in all four parts", unit="sequences", ge=20, le=1_000_000
    )
    split_seed: int = param(0, help="Seed of the split and of the choice of sequences", ge=0, le=2**31 - 1)

    @classmethod
    def sample(cls, folder: Path) -> dict[str, Any]:
        """Write one text of a few hundred lines."""
        lines = [f"{n} and {n + 1} are {2 * n + 1}, and {n} times {n} is {n * n}.\n" for n in range(400)]
        (folder / "sums.txt").write_text("".join(lines), encoding="utf-8")
        return {"path": str(folder / "sums.txt"), "length": 32, "num_examples": 200}

    def card(self) -> DataCard:
        tokens = tokenizer.tokens(self.tokenizer)
        return DataCard(
            name=self.name(),
            task="language-modelling",
            inputs=(TensorSpec("tokens", "int64", ("batch", self.length)),),
            num_classes=tokens.vocabulary,
            licence="unknown: your own files",
            source=f"{self.path}, {len(self._files())} file(s)",
            tokens=tokens,
        )

    def load(self) -> Splits:
        import numpy as np

        cut = self._dealt() if len(self._files()) >= ENOUGH_FILES else self._in_stretches()
        random = np.random.default_rng(self.split_seed)
        loaded = {}
        for part, wanted in _splits.sizes(self.num_examples).items():
            sequences = np.concatenate(cut[part])
            if not len(sequences):
                raise InvalidInput(
                    [f"{self.path}: the {part} part has no sequence of {self.length} tokens"],
                    next_move="give longer texts, or a smaller length",
                )
            kept = sequences[np.sort(random.permutation(len(sequences))[:wanted])]
            inputs, targets = np.ascontiguousarray(kept[:, :-1]), np.ascontiguousarray(kept[:, 1:])
            loaded[part] = Examples({"tokens": inputs}, targets)
        return Splits(**loaded)

    def _dealt(self) -> dict[str, list[np.ndarray]]:
        """Return part → the sequences of each of its files."""
        sizes = {str(file): file.stat().st_size for file in self._files()}
        dealt = _library_text.deal(sizes, seed=self.split_seed)
        return {part: [self._sequences(Path(file)) for file in files] for part, files in dealt.items()}

    def _in_stretches(self) -> dict[str, list[np.ndarray]]:
        """Return part → one stretch of each file's sequences."""
        import numpy as np

        cut: dict[str, list[np.ndarray]] = {part: [] for part in _splits.PARTS}
        for file in self._files():
            sequences = self._sequences(file)
            ends = np.cumsum([round(len(sequences) * _library_text.SHARES[part]) for part in _splits.PARTS[:-1]])
            for part, stretch in zip(_splits.PARTS, np.split(sequences, ends)):
                cut[part].append(stretch)
        return cut

    def _sequences(self, file: Path) -> np.ndarray:
        """Return a file's tokens as (N, length + 1): targets reach one further; the tail is dropped."""
        import numpy as np

        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise InvalidInput([f"{file} is not UTF-8 text: {error}"], next_move="save it again as UTF-8") from None
        read = tokenizer.read(self.tokenizer).encode(text, special=False) if self.tokenizer else text.encode()
        numbers = np.array(list(read), np.int64)
        piece = self.length + 1
        return numbers[: len(numbers) // piece * piece].reshape(-1, piece)

    def _files(self) -> list[Path]:
        path = Path(self.path).expanduser()
        found = [path] if path.is_file() else sorted(file for file in path.rglob(self.pattern) if file.is_file())
        if not found:
            what = f"no {self.pattern} in {self.path!r}" if path.is_dir() else f"no file or folder {self.path!r}"
            raise InvalidInput([f"{what} (relative paths start at {str(Path.cwd())!r})"])
        return found
