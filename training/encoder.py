"""The tokenizer of a pretrained encoder, checked for what kesu needs of it."""

from __future__ import annotations

import re
from pathlib import Path

from huggingface_hub import HfApi, try_to_load_from_cache
from huggingface_hub.errors import RepositoryNotFoundError
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from model.errors import InvalidInput
from model.tokeniser import BEGIN, END

_CONFIG = "config.json"
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.\-]*(?:/[A-Za-z0-9][\w.\-]*)?", re.ASCII)
# The hub is asked once before anything is loaded from it.
_SECONDS = 20


def first_line(error: Exception) -> str:
    """What a library's error says, without the advice that follows it."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _is_path(base: str) -> bool:
    """Whether only a folder can be meant: hub names are NAME or OWNER/NAME, and OWNER is no folder here."""
    return not _HUB_NAME.fullmatch(base) or ("/" in base and Path(base).parent.is_dir())


def check_base(base: str | Path) -> None:
    """Raise InvalidInput, at once and in words, where no encoder is: transformers retries for most of a minute."""
    folder = Path(base)
    if folder.exists():
        if not (folder / _CONFIG).is_file():
            what = "holds no encoder" if folder.is_dir() else "is no folder"
            raise InvalidInput(f"{base}: {what}: expected a folder with {_CONFIG}, weights and a tokenizer")
        return
    name = str(base)
    if _is_path(name):
        raise InvalidInput(f"{base}: there is no such folder; check the path, or give the hub name of an encoder")
    if isinstance(try_to_load_from_cache(name, _CONFIG), str):
        return
    try:
        HfApi().model_info(name, timeout=_SECONDS)
    except RepositoryNotFoundError as error:
        raise InvalidInput(f"{base}: is no folder here, and the hub has no such model; check the name") from error
    except Exception as error:  # the hub's client has other network errors in each version
        raise InvalidInput(
            f"{base}: is no folder here, and the hub cannot be asked for it: {first_line(error)}; "
            "check the name and the connection, or give a folder"
        ) from error


def load_tokenizer(base: str | Path) -> PreTrainedTokenizerFast:
    """Tokenizer in the folder, or of the hub name, ``base``.

    Raises InvalidInput when there is none, or one that cannot frame and pad a text.
    """
    check_base(base)
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
