"""Which column of a file holds what: told, or guessed from the names people give columns."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.problems import NeedsOption, one_line
from model.errors import InvalidInput

# Names by field, the likelier first; compared after folding width, case, white space, "_" and "-".
_SPELLINGS = {
    "id": "id 编号 工单编号 工单号 投诉编号 投诉单号 单号 记录编号 序号 ticketid ticket caseid",
    "text": "text 投诉内容 投诉文本 文本 内容 评论 评论内容 评价 评价内容 投诉描述 问题描述 描述 诉求内容 工单内容 "
    "来电内容 反馈内容 反馈 留言 正文 原文 complaint complainttext content comment review "
    "message body description feedback",
    "causes": "causes cause 原因 投诉原因 客诉原因 原因标签 原因分类 标签 投诉分类 问题分类 分类 类别 "
    "labels label categories category tags reasons reason",
    "motives": "motives motive 动机 投诉动机 客户动机 诉求 诉求类型 客户诉求 intent",
    "severity": "severity 严重度 严重程度 严重级别 严重等级 投诉等级 等级 级别 level priority",
    "style": "style 性格 客户性格 性格类型 客户类型 风格 personality",
    "domain": "domain 行业 领域 业务 industry",
    "channel": "channel 渠道 投诉渠道 来源渠道",
    "origin": "origin 数据来历 来历",
    "split": "split 划分 数据划分 数据集 subset fold",
    "source": "source 来源 数据来源",
}
NAMES = {field: tuple(names.split()) for field, names in _SPELLINGS.items()}
REQUIRED = ("text", "causes", "motives", "severity")
# Fields whose column `kesu data` lets one name.
_NAMEABLE = ("id", *REQUIRED, "style", "split")


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """The column of each field that was found, and the columns that mean nothing to kesu."""

    columns: Mapping[str, str]
    unused: tuple[str, ...] = ()

    def __str__(self) -> str:
        """``text <- 投诉内容, causes <- 原因``."""
        return ", ".join(f"{field} <- {one_line(column)}" for field, column in self.columns.items())


def _fold(name: str) -> str:
    folded = unicodedata.normalize("NFKC", name).casefold()
    # "投诉内容（必填）": what stands in brackets is a remark on the name.
    folded = re.sub(r"\([^)]*\)|\[[^\]]*\]|【[^】]*】", "", folded)
    return re.sub(r"[\s_\-:*]", "", folded)


def _ambiguous(field: str, columns: Sequence[str], path: Path) -> InvalidInput:
    what = f"{path}: {', '.join(map(repr, columns))} may each be the {field}"
    if field in _NAMEABLE:
        return NeedsOption(what, "choose one with", f"--{field}-column")
    return InvalidInput(f"{what}; rename all but one of them")


def _by_ending(field: str, free: Mapping[str, Sequence[str]], path: Path) -> str | None:
    """The one column among the ``free`` ones (folded name -> names) that ends in a Chinese name of ``field``.

    "客户投诉内容" is found so; English words are too often part of others.
    """
    chinese = tuple(name for name in NAMES[field] if not name.isascii())
    found = [column for folded, alike in free.items() if folded.endswith(chinese) for column in alike]
    if len(found) > 1 and field in REQUIRED:
        raise _ambiguous(field, found, path)
    return found[0] if len(found) == 1 else None


def _missing(path: Path, message: str, columns: Sequence[str], field: str) -> InvalidInput:
    listed = ", ".join(repr(column) for column in columns)
    return NeedsOption(f"{path}: {message}; the columns are {listed}", "name it with", f"--{field}-column")


def map_columns(
    columns: Sequence[str],
    path: Path,
    told: Mapping[str, str] | None = None,
    required: Sequence[str] = REQUIRED,
    wanted: Collection[str] = tuple(NAMES),
) -> ColumnMapping:
    """Mapping of fields to ``columns``; ``told`` (field -> column) goes before guessing.

    Only columns of ``wanted`` fields are chosen; names of the others are still theirs.

    Raises InvalidInput for an unknown field, a told column that is not there, one told for
    two fields, a required field without a column, and columns between which no name decides
    ("投诉原因（一级）", "投诉原因（二级）"); NeedsOption where an option of ``kesu data`` does.
    """
    found: dict[str, str] = {}
    for field, column in (told or {}).items():
        if field not in NAMES:
            raise InvalidInput(f"{path}: unknown field {field!r}; fields are {', '.join(NAMES)}")
        if column not in columns:
            close = difflib.get_close_matches(column, columns, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise _missing(path, f"has no column {column!r}{hint}", columns, field)
        if column in found.values():
            raise InvalidInput(f"{path}: column {column!r} is named for two fields; name one column a field")
        found[field] = column
    free: dict[str, list[str]] = {}
    for column in columns:
        if column not in found.values():
            free.setdefault(_fold(column), []).append(column)
    # Exact names of all fields go first, so that no field takes by its ending what is another's by name.
    for field, names in NAMES.items():
        exact = next((name for name in names if name in free), None)
        if field not in found and exact is not None:
            alike = free.pop(exact)
            if field not in wanted:
                continue
            if len(alike) > 1:
                raise _ambiguous(field, alike, path)
            found[field] = alike[0]
    for field in NAMES:
        by_ending = None if field in found or field not in wanted else _by_ending(field, free, path)
        if by_ending is not None:
            found[field] = by_ending
            free = {folded: alike for folded, alike in free.items() if by_ending not in alike}
    for field in required:
        if field not in found:
            raise _missing(path, f"has no column for {field}", columns, field)
    used = set(found.values())
    ordered = {field: found[field] for field in NAMES if field in found}
    return ColumnMapping(ordered, tuple(column for column in columns if column not in used))
