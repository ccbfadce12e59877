"""The files of a playbook, read and sorted into sections."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from serving.playbook.nodes import Item, parse
from serving.playbook.problems import Problem, closest
from serving.playbook.settings import SECTIONS

LISTS = ("rules", "strategies")
_HEAD = ("version", "extends", "without")
_KNOWN = (*_HEAD, *SECTIONS, *LISTS)
_SUFFIXES = {".yaml", ".yml"}
# A playbook is written by hand; more is a wrong file.
_MOST_BYTES = 1 << 20


@dataclass
class Sources:
    """Sections of all files together: ``parts`` by name, the entries of ``rules`` and ``strategies`` in order."""

    name: str
    parts: dict[str, Item] = field(default_factory=dict)
    rules: list[Item] = field(default_factory=list)
    strategies: list[Item] = field(default_factory=list)
    fingerprint: str = ""
    # Whether any file could be read as a mapping: only then is a missing section worth telling.
    readable: bool = False


def read_sources(path: Path, problems: list[Problem]) -> Sources:
    """Read a folder's YAML files (by name, not its subfolders), or one file; errors go to ``problems``."""
    found = Sources(str(path))
    digest = sha256()
    for file in _files(path, problems):
        text = _text(file, problems)
        if text is None:
            continue
        digest.update(f"{file.name}\0{text}\0".encode())
        tree = parse(text, str(file), problems)
        if tree is not None:
            _sort(tree, found, problems)
    found.fingerprint = digest.hexdigest()[:12]
    return found


def _files(path: Path, problems: list[Problem]) -> list[Path]:
    try:
        if path.is_file():
            return [path]
        files = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES and file.is_file())
    except OSError as error:
        problems.append(Problem(str(path), 0, 0, "", f"cannot be read: {error.strerror}"))
        return []
    if not files:
        problems.append(Problem(str(path), 0, 0, "", "the folder holds no .yaml file"))
    return files


def _text(file: Path, problems: list[Problem]) -> str | None:
    try:
        with file.open("rb") as stream:
            raw = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        problems.append(Problem(str(file), 0, 0, "", f"cannot be read: {error.strerror}"))
        return None
    if len(raw) > _MOST_BYTES:
        problems.append(Problem(str(file), 0, 0, "", f"larger than {_MOST_BYTES:,} bytes"))
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problems.append(Problem(str(file), line, 1, "", "not UTF-8 text; save the file as UTF-8"))
        return None


def _sort(tree: Item, found: Sources, problems: list[Problem]) -> None:
    if not isinstance(tree.value, dict):
        problems.append(tree.problem(f"expected a mapping with some of {', '.join(_KNOWN)}"))
        return
    found.readable = True
    for key, item in tree.value.items():
        if key not in _KNOWN:
            problems.append(item.problem(f"unknown section {key!r}{closest(key, _KNOWN)}"))
        elif key in LISTS:
            if isinstance(item.value, list):
                (found.rules if key == "rules" else found.strategies).extend(item.value)
            else:
                problems.append(item.problem("expected a list"))
        elif key in found.parts:
            first = found.parts[key]
            problems.append(item.problem(f"already given in {first.file}, line {first.line}"))
        else:
            found.parts[key] = item
