"""From files to a checked playbook: all or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from model.taxonomy import Taxonomy, load_taxonomy
from serving.playbook.fields import Fields
from serving.playbook.nodes import Item
from serving.playbook.problems import InvalidPlaybook, Problem, closest
from serving.playbook.rules import Rule, read_rule
from serving.playbook.settings import SECTIONS, HumanDecision, Settings, read_settings
from serving.playbook.sources import Sources, read_sources
from serving.playbook.strategies import Strategy, read_strategy

SHIPPED = Path(__file__).with_name("shipped")
# The word with which a tenant's playbook builds on the shipped one.
BASE = "kesu"
_T = TypeVar("_T", Rule, Strategy)


@dataclass(frozen=True)
class Contents:
    """A checked playbook; rules and strategies by id, in the order of the files."""

    version: str
    fingerprint: str
    settings: Settings
    rules: dict[str, Rule]
    strategies: dict[str, Strategy]


def shipped() -> Contents:
    """The playbook that kesu ships, for the labels that kesu ships; read each time, so that a reload sees edits."""
    return read_contents(SHIPPED, load_taxonomy())


def read_contents(path: Path, taxonomy: Taxonomy) -> Contents:
    """Read and check a folder or file; raises InvalidPlaybook with every error found."""
    problems: list[Problem] = []
    fields = Fields(problems)
    sources = read_sources(path, problems)
    # Read once for both of its uses: it is by far the slowest part of a load.
    kesu = None if path == SHIPPED else shipped()
    base = _base(fields, sources, kesu)
    version = _version(fields, sources)
    settings = read_settings(fields, sources.parts, taxonomy, base.settings if base else None)
    if kesu is not None:
        settings = _with_human(settings, kesu.settings.human)
    rules = {} if base is None else dict(base.rules)
    read_rules = [(read_rule(fields, item, settings.industries), item) for item in sources.rules]
    rules.update(_by_id(fields, read_rules))
    strategies = {} if base is None else _kept(fields, sources, base.strategies)
    own = [(read_strategy(fields, item, taxonomy, settings, rules), item) for item in sources.strategies]
    strategies.update(_by_id(fields, own))
    _check_levels(sources, settings, taxonomy, problems)
    for strategy, item in own:
        _check_replaces(fields, strategy, item, strategies)
    for strategy in strategies.values():
        # Also those of the base: a rule may have been replaced under them.
        _check_due(fields, strategy, rules)
        _check_human(fields, strategy, settings.human, taxonomy)
    if not strategies and not problems:
        problems.append(Problem(sources.name, 0, 0, "", "holds no strategies"))
    if problems:
        raise InvalidPlaybook(problems)
    return Contents(version, sources.fingerprint, settings, rules, strategies)


def _base(fields: Fields, sources: Sources, kesu: Contents | None) -> Contents | None:
    item = sources.parts.get("extends")
    if item is not None and kesu is not None:
        return kesu if fields.one_of(item, (BASE,), "playbook to extend") else None
    if "without" in sources.parts:
        fields.wrong(sources.parts["without"], f"only a playbook with `extends: {BASE}` can leave strategies out")
    for section in SECTIONS:
        if section not in sources.parts and sources.readable:
            advice = f"add it, or write `extends: {BASE}` to build on the shipped playbook"
            fields.problems.append(Problem(sources.name, 0, 0, "", f"the section {section!r} is missing; {advice}"))
    return None


def _version(fields: Fields, sources: Sources) -> str:
    item = sources.parts.get("version")
    if item is None and sources.readable:
        fields.problems.append(Problem(sources.name, 0, 0, "", "the section 'version' is missing"))
    return fields.text(item)


def _with_human(settings: Settings, human: HumanDecision) -> Settings:
    return Settings(
        settings.timezone,
        settings.max_strategies,
        settings.notice,
        settings.first_reply,
        settings.owners,
        settings.channels,
        settings.industries,
        settings.human.with_all_of(human),
    )


def _by_id(fields: Fields, entries: Iterable[tuple[_T, Item]]) -> dict[str, _T]:
    found: dict[str, _T] = {}
    lines: dict[str, Item] = {}
    for entry, item in entries:
        if entry.id in found:
            first = lines[entry.id]
            fields.wrong(item, f"the id {entry.id!r} is already taken in {first.file}, line {first.line}")
        elif entry.id:
            found[entry.id], lines[entry.id] = entry, item
    return found


def _kept(fields: Fields, sources: Sources, strategies: Mapping[str, Strategy]) -> dict[str, Strategy]:
    item = sources.parts.get("without")
    gone = fields.some_of(item, strategies, "strategy")
    return {key: strategy for key, strategy in strategies.items() if key not in gone}


def _check_levels(sources: Sources, settings: Settings, taxonomy: Taxonomy, problems: list[Problem]) -> None:
    missing = [str(level) for level in range(1, taxonomy.levels) if str(level) not in settings.first_reply]
    if missing and "first_reply" not in sources.parts and "extends" in sources.parts:
        problems.append(Problem(sources.name, 0, 0, "first_reply", f"has no clock for severity {', '.join(missing)}"))


def _check_replaces(fields: Fields, strategy: Strategy, item: Item, strategies: Mapping[str, Strategy]) -> None:
    place = item.value["replaces"] if isinstance(item.value, dict) and "replaces" in item.value else item
    for name in strategy.replaces:
        if name == strategy.id:
            fields.wrong(place, "a strategy cannot replace itself")
        elif name and name not in strategies:
            fields.wrong(place, f"unknown strategy {name!r}{closest(name, list(strategies))}")


def _check_due(fields: Fields, strategy: Strategy, rules: Mapping[str, Rule]) -> None:
    rule = rules.get(strategy.due_rule or "")
    if rule is not None and not rule.counts_from_receipt:
        fields.wrong(
            strategy.place,
            f"due: the rule {rule.id!r} sets the merchant no limit from the receipt of the complaint; "
            "give hours, working_days or calendar_days",
        )


def _check_human(fields: Fields, strategy: Strategy, human: HumanDecision, taxonomy: Taxonomy) -> None:
    if strategy.human_decision:
        return
    place = strategy.place
    if isinstance(place.value, dict):
        place = place.value.get("human_decision", place)
    groups = {taxonomy.group_of.get(cause, "") for cause in strategy.when.cause}
    for labels in (human.cases, human.strategies):
        for key, values in labels.items():
            named = set(strategy.when.given.get(key, ())) | (groups if key == "group" else set())
            for label in values:
                if label in named:
                    fields.wrong(place, f"must be true: the strategy is for {key} {label!r}, which a person decides")
                    return
