"""YAML text as a tree in which every value knows its line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeAlias

import yaml

from serving.playbook.problems import Problem

Scalar: TypeAlias = str | int | float | bool | date | datetime | bytes | None


@dataclass(frozen=True, slots=True)
class Item:
    """A value with its place; ``field`` is the path from the top of the file, such as ``strategies[2].due``."""

    value: Scalar | dict[str, Item] | list[Item]
    file: str
    line: int
    column: int
    field: str

    def problem(self, message: str) -> Problem:
        """An error at this place."""
        return Problem(self.file, self.line, self.column, self.field, message)


def parse(text: str, file: str, problems: list[Problem]) -> Item | None:
    """The tree of one YAML document; errors are added to ``problems``, None when there is no tree at all."""
    try:
        # Aliases could make a small file endless; a playbook needs none.
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                mark = event.start_mark
                line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
                problems.append(Problem(file, line, column, "", "aliases (*name) are not allowed"))
                return None
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                problems.append(Problem(file, 0, 0, "", "the file is empty"))
                return None
            return _item(loader, node, file, "", problems)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        problems.append(Problem(file, line, column, "", f"not valid YAML: {error.problem or error.context}"))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problems.append(Problem(file, line, 1, "", f"not valid YAML: character {error.character!r} is not allowed"))
    except RecursionError:
        problems.append(Problem(file, 0, 0, "", "nested too deeply"))
    return None


def _item(loader: yaml.SafeLoader, node: yaml.Node, file: str, field: str, problems: list[Problem]) -> Item:
    line, column = node.start_mark.line + 1, node.start_mark.column + 1
    here = Item(None, file, line, column, field)
    if isinstance(node, yaml.SequenceNode):
        items = [_item(loader, child, file, f"{field}[{i}]", problems) for i, child in enumerate(node.value)]
        return Item(items, file, line, column, field)
    if not isinstance(node, yaml.MappingNode):
        return Item(_scalar(loader, node, here, problems), file, line, column, field)
    found: dict[str, Item] = {}
    for key_node, value_node in node.value:
        at = Item(None, file, key_node.start_mark.line + 1, key_node.start_mark.column + 1, field)
        key = _scalar(loader, key_node, at, problems) if isinstance(key_node, yaml.ScalarNode) else None
        if isinstance(key, int) and not isinstance(key, bool):
            key = str(key)  # severity levels, as in ``first_reply: {1: ...}``
        if not isinstance(key, str):
            problems.append(at.problem("a key must be a word"))
        elif key in found:
            problems.append(at.problem(f"the key {key!r} appears twice; first in line {found[key].line}"))
        else:
            found[key] = _item(loader, value_node, file, f"{field}.{key}" if field else key, problems)
    return Item(found, file, line, column, field)


def _scalar(loader: yaml.SafeLoader, node: yaml.Node, here: Item, problems: list[Problem]) -> Scalar:
    try:
        value: Scalar = loader.construct_object(node)
    except yaml.MarkedYAMLError as error:
        problems.append(here.problem(f"not valid YAML: {error.problem}"))
    except ValueError as error:
        problems.append(here.problem(f"not a valid value: {error}"))
    else:
        return value
    return None
