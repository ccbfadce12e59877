"""Texts as token ids, read exactly as the answering model reads them."""

from __future__ import annotations

from model.formulas import read
from model.tokeniser import Tokeniser


def token_ids(tokeniser: Tokeniser, text: str) -> tuple[int, ...]:
    """Token ids of one text, with the marks of its beginning and end."""
    return tokeniser.encode(read(text).text).ids
