"""The encoding of a Chinese text file: told, or found out.

A byte-order mark decides; else strict UTF-8 does. What is left is GB18030 (which holds
GBK and GB2312), Big5 and UTF-16 without a mark. Trying them in turn misreads files, since
Big5 bytes are nearly always valid GB18030 too; so every encoding that fits is tried and the
one whose text consists of everyday characters wins.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path

from data.problems import NeedsOption
from model.errors import InvalidInput
from model.text import simplify

# Longer marks first: UTF-32's begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CANDIDATES = ("gb18030", "big5", "big5hkscs", "cp950", "utf-16-le", "utf-16-be")
# What people call an encoding that a superset reads as well.
_ALIASES = {"gb2312": "gb18030", "gbk": "gb18030", "cp936": "gb18030", "utf-8": "utf-8-sig", "utf8": "utf-8-sig"}
# The 300 most frequent characters of the corpus: some 70 % of the running text of complaints.
_FREQUENT = frozenset(
    "我的了一不是个人说没来上在天有到三就月们要你下家给这子电退点时日能还都里十好客次两出也回费后去小着那户看机单过开请车把发元用年已二"
    "打自第前面问老话号得店同大四理手为收门行换分全台多写公他现明可钱员司工口服报别价当今五以会期成求只道本款经水么提方件师买己周让对贵"
    "合头想再并六知字地块位跟事保间交您约改条送实起按半信告名修晚签卡认业每等付新称主接部走外儿复装通货内长生定完意八被中示扣管场先系清"
    "加房查算页才记书谢关住标赔进停无张样七未孩照包票和证网转平金她又见直学快心谁排百底表账补重录议正片带其院钟原务从结动九解真楼拿于吗"
)
# GB2312 level 1: the 3,755 characters of everyday use.
_EVERYDAY = frozenset(
    bytes((row, cell)).decode("gb2312")
    for row in range(0xB0, 0xD8)
    for cell in range(0xA1, 0xFF)
    if row < 0xD7 or cell < 0xFA
)
_SAMPLE = 20_000
# Right readings of complaints score 0.4 and more, wrong ones mostly below 0.
_PLAUSIBLE = 0.1
_CLEARLY_BETTER = 0.5
# More NUL bytes than this and the file is no text, whatever its name says.
_MAX_NUL_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text of a file and the encoding it was read in."""

    text: str
    encoding: str


def _is_neutral(character: str) -> bool:
    """Whether the character speaks neither for nor against a reading: ASCII, punctuation, emoji."""
    code = ord(character)
    return (
        0x20 <= code < 0x7F
        or character in "\n\r\t"
        or 0x2010 <= code <= 0x2030
        or 0x3000 <= code <= 0x303F
        or 0xFF00 <= code <= 0xFFEF
        or code > 0x1F000
    )


def plausibility(text: str) -> float:
    """How much ``text`` looks like Chinese: 1 all frequent characters, -1 all rare, 0 no evidence."""
    total = 0.0
    counted = 0
    for character in simplify(text[:_SAMPLE]):
        if character in _FREQUENT:
            total += 1.0
        elif character in _EVERYDAY:
            total += 0.3
        elif _is_neutral(character):
            continue
        else:
            total -= 1.0
        counted += 1
    return total / counted if counted else 0.0


def _decoded(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _broken_at(data: bytes, encoding: str) -> str:
    """Place of the first byte that ``encoding`` cannot read."""
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        # The decoder's own bytes: some have taken off the mark.
        line = error.object.count(b"\n", 0, error.start) + 1
        return f"line {line}, byte {error.start} (0x{error.object[error.start]:02x})"
    return "no place"


def detect(data: bytes, name: Path | str = "text") -> Decoded:
    """Text of ``data`` in the encoding that fits best; ``name`` is only named in errors.

    Raises InvalidInput when no encoding gives plausible text, NeedsOption where telling the encoding may help.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            text = _decoded(data, encoding)
            if text is None:
                where = _broken_at(data, encoding)
                raise InvalidInput(
                    f"{name}: begins with the mark of {encoding} but cannot be read as such at {where}; "
                    "export the file again, it is damaged"
                )
            return Decoded(text, encoding)
    utf8 = _decoded(data, "utf-8")
    if utf8 is not None and "\x00" not in utf8:
        return Decoded(utf8, "utf-8")
    readings = [(encoding, _decoded(data, encoding)) for encoding in _CANDIDATES]
    scored = [
        (_PLAUSIBLE if text.isascii() else plausibility(text), encoding, text)
        for encoding, text in readings
        if text and "\x00" not in text
    ]
    # max keeps the first of equals, so the list of candidates is also the order of preference.
    score, encoding, text = max(scored, key=lambda reading: reading[0], default=(-1.0, "", ""))
    if score >= _PLAUSIBLE:
        return Decoded(text, encoding)
    if utf8 is not None and utf8.count("\x00") <= _MAX_NUL_SHARE * len(utf8):
        return Decoded(utf8, "utf-8")
    if b"\x00" in data:
        raise InvalidInput(f"{name}: holds NUL bytes and is no text file; export it as CSV, JSONL or XLSX")
    raise NeedsOption(
        f"{name}: the encoding cannot be told: not UTF-8 at {_broken_at(data, 'utf-8')}, and no Chinese text as "
        "GB18030, Big5 or UTF-16",
        "save it as UTF-8, or name the encoding with",
        "--encoding",
    )


def decode(data: bytes, encoding: str | None = None, name: Path | str = "text") -> Decoded:
    """Text of ``data``, in ``encoding`` where it is told.

    Raises InvalidInput for an unknown encoding, for bytes it cannot read, and when it gives
    nonsense where another encoding gives Chinese.
    """
    if not encoding:
        return detect(data, name)
    told = _ALIASES.get(encoding.lower(), encoding)
    try:
        codec = codecs.lookup(told)
    except (LookupError, ValueError) as error:
        known = "utf-8, utf-16, gb18030, gbk, big5"
        raise InvalidInput(f"{name}: unknown encoding {encoding!r}; use one of {known}") from error
    if not getattr(codec, "_is_text_encoding", True):
        raise InvalidInput(f"{name}: {encoding!r} is no text encoding; use one of utf-8, utf-16, gb18030, gbk, big5")
    text = _decoded(data, told)
    if text is None:
        raise InvalidInput(
            f"{name}: cannot be read as {encoding} at {_broken_at(data, told)}; "
            "leave out --encoding to have the encoding found out"
        )
    score = plausibility(text)
    if score < _PLAUSIBLE and not text.isascii():
        try:
            other = detect(data, name)
        except InvalidInput:
            return Decoded(text, told)
        if other.text != text and plausibility(other.text) >= score + _CLEARLY_BETTER:
            raise InvalidInput(f"{name}: gives no Chinese text as {encoding}; it looks like {other.encoding}")
    return Decoded(text, told)
