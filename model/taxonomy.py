"""The labels: what they are called, what they mean, which group a cause belongs to.

Labels live in ``taxonomy.yaml`` (or a file of the same form); nothing else spells one.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from model.errors import InvalidTaxonomy

DEFAULT_PATH = Path(__file__).with_name("taxonomy.yaml")
_SECTIONS = ("groups", "causes", "motives", "severities", "styles")
_FIELDS = {"id", "code", "group", "zh", "en", "definition", "neutral"}


@dataclass(frozen=True, slots=True)
class Label:
    """One label: ``id`` is the stable name, ``zh``/``en`` are shown, ``code`` is the annotators' short form."""

    id: str
    zh: str
    en: str
    definition: str
    code: str = ""
    group: str = ""
    neutral: bool = False


@dataclass(frozen=True)
class Taxonomy:
    """All labels of one version, in the order in which models number them."""

    version: str
    groups: tuple[Label, ...]
    causes: tuple[Label, ...]
    motives: tuple[Label, ...]
    severities: tuple[Label, ...]
    styles: tuple[Label, ...]

    @functools.cached_property
    def cause_ids(self) -> tuple[str, ...]:
        """Leaf causes in model order."""
        return tuple(label.id for label in self.causes)

    @functools.cached_property
    def motive_ids(self) -> tuple[str, ...]:
        """Motives in model order."""
        return tuple(label.id for label in self.motives)

    @functools.cached_property
    def style_ids(self) -> tuple[str, ...]:
        """Styles in model order."""
        return tuple(label.id for label in self.styles)

    @functools.cached_property
    def group_ids(self) -> tuple[str, ...]:
        """Cause groups in model order."""
        return tuple(label.id for label in self.groups)

    @functools.cached_property
    def group_of(self) -> dict[str, str]:
        """Group of each leaf cause."""
        return {label.id: label.group for label in self.causes}

    @functools.cached_property
    def leaves_of(self) -> dict[str, list[int]]:
        """Numbers of the leaf causes of each group; groups in model order."""
        return {
            group: [number for number, label in enumerate(self.causes) if label.group == group]
            for group in self.group_ids
        }

    @functools.cached_property
    def neutral_style(self) -> str:
        """The style given where the text shows none."""
        return next(label.id for label in self.styles if label.neutral)

    @property
    def levels(self) -> int:
        """Number of severity levels, "not a complaint" included."""
        return len(self.severities)


def _label(section: str, number: int, entry: Any, path: Path) -> Label:
    where = f"{path}: {section}[{number}]"
    if not isinstance(entry, dict):
        raise InvalidTaxonomy(f"{where}: expected a mapping with id, zh, en and definition, found {entry!r}")
    unknown = set(entry) - _FIELDS
    if unknown:
        raise InvalidTaxonomy(
            f"{where}: unknown field {sorted(unknown)[0]!r}; allowed are {', '.join(sorted(_FIELDS))}"
        )
    for field in ("id", "zh", "en", "definition"):
        if not isinstance(entry.get(field), str) or not entry[field].strip():
            raise InvalidTaxonomy(f"{where}: field {field!r} must be a non-empty string (quote numbers)")
    return Label(**entry)


def parse_taxonomy(text: str, path: Path) -> Taxonomy:
    """Taxonomy from YAML text; ``path`` is only named in errors.

    Raises InvalidTaxonomy for YAML errors, missing or unknown fields, doubled ids, causes
    of an unknown group, and severity ids other than "0", "1", "2", ... in order.
    """
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidTaxonomy(f"{path}: not valid YAML: {error}") from error
    if not isinstance(raw, dict) or set(raw) != {"version", *_SECTIONS}:
        raise InvalidTaxonomy(f"{path}: expected exactly the keys version, {', '.join(_SECTIONS)}")
    sections: dict[str, tuple[Label, ...]] = {}
    for section in _SECTIONS:
        entries = raw[section]
        if not isinstance(entries, list) or not entries:
            raise InvalidTaxonomy(f"{path}: {section} must be a non-empty list of labels")
        labels = tuple(_label(section, number, entry, path) for number, entry in enumerate(entries))
        ids = [label.id for label in labels]
        doubled = [i for i in ids if ids.count(i) > 1]
        if doubled:
            raise InvalidTaxonomy(f"{path}: {section}: id {doubled[0]!r} appears more than once")
        sections[section] = labels
    groups = {label.id for label in sections["groups"]}
    for label in sections["causes"]:
        if label.group not in groups:
            raise InvalidTaxonomy(f"{path}: cause {label.id!r} names the unknown group {label.group!r}")
    if [label.id for label in sections["severities"]] != [str(i) for i in range(len(sections["severities"]))]:
        raise InvalidTaxonomy(f'{path}: severities must have the ids "0", "1", "2", ... in order')
    if sum(label.neutral for label in sections["styles"]) != 1:
        raise InvalidTaxonomy(f"{path}: exactly one style must carry neutral: true")
    return Taxonomy(version=str(raw["version"]), **sections)


# By content, not by path: a file that was edited must not be answered with what it was.
_parsed = functools.lru_cache(maxsize=8)(parse_taxonomy)


def load_taxonomy(path: Path | None = None) -> Taxonomy:
    """The taxonomy at ``path``, or the one kesu ships; the same object while the file says the same."""
    path = path or DEFAULT_PATH
    try:
        return _parsed(path.read_text(encoding="utf-8"), path)
    except OSError as error:
        raise InvalidTaxonomy(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidTaxonomy(
            f"{path}: is not UTF-8: {error.reason} at byte {error.start}; save it as UTF-8"
        ) from error
