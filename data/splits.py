"""What the names that people give splits mean; the audit and the training read them alike."""

from __future__ import annotations

import re
import unicodedata

# Roles; `kesu train` learns from the first, chooses and calibrates with the second, and leaves the third alone.
TRAIN, DEV, TEST = "train", "dev", "test"
_NAMES = {
    TRAIN: "train training 训练 训练集",
    DEV: "dev development val valid validation eval heldout 验证 验证集 开发 开发集 留出 留出集",
    TEST: "test testing 测试 测试集",
}
_ROLES = {name: role for role, names in _NAMES.items() for name in names.split()}
KNOWN = "train (训练集), dev (validation, heldout, 验证集, 开发集, 留出集) and test (测试集)"


def role_of(name: str | None) -> str:
    """Role of a split called ``name``: "train", "dev" or "test", "" for none, a name of no role as it is."""
    folded = unicodedata.normalize("NFKC", name or "").strip().casefold()
    return _ROLES.get(re.sub(r"[\s_\-]", "", folded), folded)


def is_known(role: str) -> bool:
    """Whether it is a role, or none at all, and not a name that kesu does not know."""
    return role in ("", TRAIN, DEV, TEST)


def named_in(stem: str) -> str:
    """Role of the last word of a file's name that names one ("gold_dev", "客诉_训练集"); "" where none does."""
    words = re.findall(r"[a-z]+|[\u4e00-\u9fff]+", unicodedata.normalize("NFKC", stem).casefold())
    roles = [_ROLES[word] for word in words if word in _ROLES]
    return roles[-1] if roles else ""
