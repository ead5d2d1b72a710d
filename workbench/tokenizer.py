"""The tokenizer that a checkpoint brings along: text → tokens and back, by the tokenizers library alone.

It is read from tokenizer.json, which is data; code that a folder brings is never run. Folders with older files only are
converted by transformers.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidInput
from workbench.nouns import Tokens

if TYPE_CHECKING:
    import numpy as np

FILE, CONFIG = "tokenizer.json", "tokenizer_config.json"
SPECIAL = ("pad_token", "eos_token", "unk_token")  # of the configuration: what may fill up a text, the best first
OLDER = ("vocab.json", "vocab.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model")


NUM_BYTES = 256


def tokens(folder: str, *, padded: bool = False) -> Tokens:
    """Say how texts become numbers: by the tokenizer of a folder, or (\"\") as bytes; `padded` ones are filled up."""
    if not folder:
        return Tokens(NUM_BYTES)
    found = read(folder)
    return Tokens(found.vocabulary, folder, found.padding if padded else None)


class Tokenizer:
    """Reads and writes text as tokens. `files` are what another folder needs to do the same."""

    def __init__(self, files: Mapping[str, bytes], source: str) -> None:
        import tokenizers

        try:
            self._inner = tokenizers.Tokenizer.from_buffer(files[FILE])
            self._config: dict[str, Any] = json.loads(files.get(CONFIG, b"{}"))
        except Exception as error:  # noqa: BLE001 - the library raises Exception itself
            raise InvalidInput([f"{source} holds no tokenizer that can be read: {error}"]) from None
        self._inner.no_padding()
        self._inner.no_truncation()
        self.files = {name: files[name] for name in (FILE, CONFIG) if name in files}

    @property
    def vocabulary(self) -> int:
        """Return one more than the largest token."""
        return max(self._inner.get_vocab(with_added_tokens=True).values(), default=-1) + 1

    @property
    def padding(self) -> int:
        """Return the token that fills up short texts: its own, else one that ends texts or stands for the unknown, else 0."""
        named = (_content(self._config.get(name)) for name in SPECIAL)
        return next((token for name in named if (token := self._inner.token_to_id(name)) is not None), 0)

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """Return a text's tokens; `special` adds those that mark its beginning and end, where the tokenizer has some."""
        found: list[int] = self._inner.encode(text, add_special_tokens=special).ids
        return found

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of many texts, on all cores."""
        return [each.ids for each in self._inner.encode_batch(list(texts))]

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens, marks of beginning and end left out."""
        found: str = self._inner.decode(list(tokens))
        return found

    def each(self, tokens: np.ndarray) -> list[str]:
        """Return the text of each token by itself, as readers of single tokens see it; halves of a character as ·."""
        texts = self._inner.decode_batch([[token] for token in tokens.tolist()], skip_special_tokens=False)
        return [text.replace("\ufffd", "·") for text in texts]

    def writer(self, before: Sequence[int]) -> Callable[[int], str]:
        """Return what takes token after token that follow those `before`, and gives the text that each completes."""
        from tokenizers.decoders import DecodeStream

        stream = DecodeStream(ids=list(before), skip_special_tokens=True)
        return lambda token: stream.step(self._inner, token) or ""


def read(folder: str | Path) -> Tokenizer:
    """Return the tokenizer of a folder; raises InvalidInput when it has none."""
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise InvalidInput([f"tokenizer: no folder {str(folder)!r}"], next_move="name the folder of a checkpoint")
    stamp = tuple((file.stat().st_mtime_ns, file.stat().st_size) for file in _there(path))
    return _read(path, stamp)


def from_files(files: Mapping[str, bytes]) -> Tokenizer | None:
    """Return the tokenizer among the files of an artifact; None when it has none."""
    return Tokenizer(files, "the artifact") if FILE in files else None


def same(one: str | Path, other: str | Path) -> bool:
    """Say whether two folders hold the same tokenizer."""
    try:
        return read(one).files[FILE] == read(other).files[FILE]
    except InvalidInput:
        return False


def _there(folder: Path) -> list[Path]:
    return [folder / name for name in (FILE, CONFIG, *OLDER) if (folder / name).is_file()]


@functools.lru_cache(maxsize=8)
def _read(folder: Path, _stamp: tuple[tuple[int, int], ...]) -> Tokenizer:
    there = {path.name: path for path in _there(folder)}
    files = {name: there[name].read_bytes() for name in (FILE, CONFIG) if name in there}
    if FILE not in files:
        if not set(there) & set(OLDER):
            raise InvalidInput(
                [f"{folder} has no tokenizer: no {FILE}, {', '.join(OLDER[:3])} …"],
                next_move="name the folder of a checkpoint that was saved with its tokenizer",
            )
        files[FILE] = _converted(folder)
    return Tokenizer(files, str(folder))


def _converted(folder: Path) -> bytes:
    import transformers

    try:
        found = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return bytes(found.backend_tokenizer.to_str().encode())
    except Exception as error:  # noqa: BLE001 - each tokenizer class fails in its own way
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise InvalidInput([f"{folder} has no tokenizer that transformers opens: {first_line}"]) from None


def _content(named: Any) -> str:
    """Return a special token's text, which a configuration may wrap."""
    return str(named.get("content", "")) if isinstance(named, dict) else str(named or "")
