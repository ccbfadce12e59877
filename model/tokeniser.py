"""Text to token ids, framed and cut to what the network reads, and where each token came from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Encoding, Tokenizer

from model.errors import InvalidArtefact
from model.text import head_and_tail

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text as the network reads it.

    ``ids`` carries the frame; ``kept[i]`` is the place, among all tokens of the text, of
    ``ids[i + 1]``. ``total`` counts the text's tokens before cutting, ``unknown`` the kept
    ones the vocabulary lacks; neither counts the frame.
    """

    ids: tuple[int, ...]
    kept: tuple[int, ...]
    total: int
    unknown: int
    encoding: Encoding

    @property
    def used(self) -> int:
        """Tokens of the text that the network reads."""
        return len(self.kept)

    @property
    def truncated(self) -> bool:
        """Whether the middle of the text was left out."""
        return self.used < self.total

    def offsets(self) -> list[tuple[int, int]]:
        """Half-open span in the normalised text of each token of ``ids`` without the frame."""
        spans: list[tuple[int, int]] = self.encoding.offsets
        return [spans[place] for place in self.kept]


class Tokeniser:
    """A ``tokenizers`` file with its own cutting, padding and framing switched off."""

    def __init__(self, tokenizer: Tokenizer, max_tokens: int):
        """``max_tokens`` counts the frame. Raises InvalidArtefact when the frame's tokens are not in the vocabulary."""
        tokenizer.no_truncation()
        tokenizer.no_padding()
        special = [token.content for token in tokenizer.get_added_tokens_decoder().values() if token.content]
        self._special = re.compile("|".join(map(re.escape, special)) or r"(?!)")
        begin, end = tokenizer.token_to_id(BEGIN), tokenizer.token_to_id(END)
        if begin is None or end is None:
            raise InvalidArtefact(f"tokenizer.json: its vocabulary lacks {BEGIN} or {END}; export the model again")
        self._begin, self._end = begin, end
        self._unknown = tokenizer.token_to_id(UNKNOWN)
        self._tokenizer = tokenizer
        self.max_tokens = max_tokens

    @classmethod
    def load(cls, path: Path, max_tokens: int) -> Tokeniser:
        """From a ``tokenizer.json``. Raises InvalidArtefact when it cannot be read."""
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception
            raise InvalidArtefact(f"{path}: not a tokenizers file ({error}); export the model again") from error
        return cls(tokenizer, max_tokens)

    def encode(self, text: str) -> Tokens:
        """Tokens of a normalised text; beginning and end of a text that is too long."""
        # A customer who types "</s>" means these characters, not the frame. Same length, so offsets hold;
        # `encode_special_tokens` is not enough where the vocabulary itself holds the frame.
        text = self._special.sub(lambda match: " " + match[0][1:], text)
        # One text a call: the library's batches start a thread pool of their own beside the engine's.
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        ids = encoding.ids
        kept = tuple(head_and_tail(range(len(ids)), self.max_tokens - 2))
        read = [ids[place] for place in kept]
        return Tokens(
            ids=self.frame(read),
            kept=kept,
            total=len(ids),
            unknown=0 if self._unknown is None else read.count(self._unknown),
            encoding=encoding,
        )

    def frame(self, ids: list[int]) -> tuple[int, ...]:
        """Token ids of a text between the begin and the end token."""
        return (self._begin, *ids, self._end)
