"""A YAML file whose every value knows its line, so that each error can be told with line and field."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from model.errors import InvalidInput


@dataclass
class Document:
    """A file being read; errors are collected, so that all of them are told at once."""

    path: Path
    problems: list[tuple[int, str]] = field(default_factory=list)

    def root(self, text: str) -> Value:
        """The whole file as one value. Raises InvalidInput for broken or empty YAML."""
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            line = (error.problem_mark.line if error.problem_mark else 0) + 1
            raise InvalidInput(f"{self.path}:{line}: not valid YAML: {error.problem}") from error
        except yaml.YAMLError as error:
            raise InvalidInput(f"{self.path}: not valid YAML: {error}") from error
        if node is None:
            raise InvalidInput(f"{self.path}:1: the file is empty")
        return Value(self, node, "")

    def check(self) -> None:
        """Raises InvalidInput with every problem found so far, one a line, in order of lines."""
        if self.problems:
            raise InvalidInput("\n".join(f"{self.path}:{line}: {message}" for line, message in sorted(self.problems)))


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the file with its field name (``rules[3].level``)."""

    document: Document
    node: yaml.Node
    name: str

    @property
    def line(self) -> int:
        """Line of the file, from 1."""
        return int(self.node.start_mark.line) + 1

    def report(self, message: str) -> None:
        """Note a problem of this value."""
        self.document.problems.append((self.line, f"{self.name or 'file'}: {message}"))

    def fields(self, required: Collection[str], optional: Collection[str] = ()) -> dict[str, Value]:
        """Fields of a mapping; missing, unknown and doubled ones are reported."""
        found = {}
        for key, value in self.items():
            if key not in required and key not in optional:
                value.report(f"unknown field; allowed are {', '.join([*required, *optional])}")
            found[key] = value
        if isinstance(self.node, yaml.MappingNode):
            for key in required:
                if key not in found:
                    self.report(f"field {key!r} is missing")
        return found

    def items(self) -> Iterator[tuple[str, Value]]:
        """Keys and values of a mapping; anything else is reported."""
        if not isinstance(self.node, yaml.MappingNode):
            self.report("expected a mapping")
            return
        seen = set()
        for key_node, node in self.node.value:
            key = str(key_node.value)
            value = Value(self.document, node, f"{self.name}.{key}" if self.name else key)
            if key in seen:
                value.report("appears twice")
            seen.add(key)
            yield key, value

    def members(self) -> list[Value]:
        """Members of a list that is not empty; anything else is reported."""
        if not isinstance(self.node, yaml.SequenceNode) or not self.node.value:
            self.report("expected a list with at least one entry")
            return []
        return [Value(self.document, node, f"{self.name}[{place}]") for place, node in enumerate(self.node.value)]

    def text(self) -> str:
        """A string that is not blank; anything else is reported and read as ''."""
        written = self.node.value if isinstance(self.node, yaml.ScalarNode) and self._tag() == "str" else ""
        if not written.strip():
            self.report("expected a non-empty string (quote numbers)")
        return str(written)

    def number(self) -> float:
        """A number above 0; anything else is reported and read as 0."""
        if isinstance(self.node, yaml.ScalarNode) and self._tag() in ("int", "float"):
            value = float(yaml.safe_load(self.node.value))
            if 0 < value < math.inf:
                return value
        self.report("expected a number above 0")
        return 0.0

    def whole(self, most: int) -> int:
        """A whole number from 1 to ``most``; anything else is reported and read as 0."""
        if isinstance(self.node, yaml.ScalarNode) and self._tag() == "int":
            value = int(yaml.safe_load(self.node.value))
            if 1 <= value <= most:
                return value
        self.report(f"expected a whole number from 1 to {most}")
        return 0

    def choice(self, allowed: Collection[str]) -> str:
        """One of ``allowed``; anything else is reported and read as ''."""
        written = self.node.value if isinstance(self.node, yaml.ScalarNode) else None
        if written in allowed:
            return str(written)
        self.report(f"expected one of {', '.join(allowed)}, found {written!r}" if written else "expected a word")
        return ""

    def _tag(self) -> str:
        return str(self.node.tag).rsplit(":", 1)[-1]
