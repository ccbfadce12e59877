"""The tokenizer of a pretrained encoder, checked for what kesu needs of it."""

from __future__ import annotations

from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from model.errors import InvalidInput
from model.tokeniser import BEGIN, END


def first_line(error: Exception) -> str:
    """What a library's error says, without the advice that follows it."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def load_tokenizer(base: str | Path) -> PreTrainedTokenizerFast:
    """Tokenizer in the folder, or of the hub name, ``base``.

    Raises InvalidInput when there is none, or one that cannot frame and pad a text.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(base)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{base}: no tokenizer can be loaded from it: {first_line(error)}") from error
    backend = getattr(tokenizer, "backend_tokenizer", None)
    missing = [piece for piece in (BEGIN, END) if backend is None or backend.token_to_id(piece) is None]
    if missing or tokenizer.pad_token_id is None:
        raise InvalidInput(
            f"{base}: its tokenizer lacks {' and '.join(missing) or 'a padding piece'}, which kesu needs to read a "
            "text; take an encoder with a vocabulary like XLM-RoBERTa's"
        )
    return tokenizer


def check_length(base: str, positions: int, max_tokens: int) -> None:
    """Raise InvalidInput when an encoder of ``positions`` cannot read texts of ``max_tokens``."""
    if max_tokens > positions:
        raise InvalidInput(f"{base}: reads at most {positions} tokens; set max_tokens no higher (it is {max_tokens})")
