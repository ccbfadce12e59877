"""Which texts kesu accepts, and what is worth a warning."""

from __future__ import annotations

from model.classification import Notice
from model.errors import InvalidInput
from model.formulas import read
from model.text import NormalisedText, han_count, han_share
from model.tokeniser import Tokens

# A letter to a regulator has some 5,000 characters; far above that lies a pasted file or an attack.
MAX_CHARACTERS = 100_000
# Below this share of Chinese characters among the letters, the text is in another language.
MIN_HAN_SHARE = 0.05
# Above this share of unknown pieces the network reads too little of the text to trust it.
MAX_UNKNOWN_SHARE = 0.2
# Warnings about texts unlike those that confidence was calibrated on.
UNSAFE_NOTICES = frozenset({"not_chinese", "too_short", "unknown_characters"})


def accept(text: object) -> NormalisedText:
    """The text as the network reads it. Raises InvalidInput where it is unusable; the reason does not repeat it."""
    if not isinstance(text, str):
        raise InvalidInput(f"expected a text, found {type(text).__name__}")
    if len(text) > MAX_CHARACTERS:
        raise InvalidInput(
            f"the text has {len(text):,} characters, more than {MAX_CHARACTERS:,}; send one complaint, not a whole file"
        )
    if "\0" in text:
        raise InvalidInput("the text contains NUL bytes; it is binary data or in another encoding, such as UTF-16")
    normalised = read(text)
    if not normalised.text:
        raise InvalidInput("the text is empty or only white space")
    # Letters, digits and Chinese characters are all "alnum".
    if not any(character.isalnum() for character in normalised.text):
        raise InvalidInput("the text has no word in it, only emoji or punctuation")
    return normalised


def notices(normalised: NormalisedText, tokens: Tokens) -> tuple[Notice, ...]:
    """Warnings about a text that can be answered, but perhaps not well."""
    found = []
    text, han = normalised.text, han_count(normalised.text)
    if any(character.isalpha() for character in text) and han_share(text) < MIN_HAN_SHARE:
        found.append(Notice("not_chinese", "hardly any Chinese in the text; the model has only learnt Chinese"))
    elif han < 2:
        found.append(Notice("too_short", "fewer than two Chinese characters; too little to judge"))
    if tokens.truncated:
        found.append(
            Notice("truncated", f"read {tokens.used} of {tokens.total} tokens: the beginning and the end of the text")
        )
    if tokens.unknown > MAX_UNKNOWN_SHARE * tokens.used:
        found.append(
            Notice(
                "unknown_characters", f"the model does not know {tokens.unknown} of the {tokens.used} tokens it read"
            )
        )
    return tuple(found)
