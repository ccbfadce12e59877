"""What a valid playbook might still lack: shown by `kesu playbook check`, no reason to refuse the file."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from serving.playbook.playbook import Playbook
from serving.playbook.strategies import Strategy


def remarks(playbook: Playbook) -> list[str]:
    """Labels without a strategy, money or refusals without a human decision, slower clocks for worse cases."""
    return [*_bare(playbook), *_undecided(playbook), *_slower(playbook)]


def _bare(playbook: Playbook) -> Iterable[str]:
    taxonomy = playbook.taxonomy
    named = {(key, value) for s in playbook.strategies for key, values in s.when.given.items() for value in values}
    for cause in taxonomy.causes:
        if ("cause", cause.id) not in named and ("group", cause.group) not in named:
            yield f"no strategy for the cause {cause.id} ({cause.zh}), nor for its group {cause.group}"
    levels = [level for level in taxonomy.severities if level.id != "0"]
    for key, labels in (("motive", taxonomy.motives), ("severity", levels), ("style", taxonomy.styles)):
        for label in labels:
            if (key, label.id) not in named and not label.neutral:
                yield f"no strategy for the {key} {label.id} ({label.zh})"


def _undecided(playbook: Playbook) -> Iterable[str]:
    for strategy in playbook.strategies:
        words = [word for word in playbook.contents.settings.human.words if word in _said(strategy)]
        if words and not strategy.human_decision:
            place = f"{strategy.place.file}:{strategy.place.line}"
            yield f"{place}: {strategy.id} speaks of {'、'.join(words)}; should human_decision be true?"


def _said(strategy: Strategy) -> str:
    return "\n".join((strategy.title.zh, *strategy.steps, *strategy.script))


def _slower(playbook: Playbook) -> Iterable[str]:
    clocks = sorted(playbook.contents.settings.first_reply.items(), key=lambda entry: int(entry[0]))
    for (level, first), (worse, second) in pairwise(clocks):
        if first.unit == second.unit and second.count > first.count:
            yield f"first_reply: severity {worse} is answered later than severity {level}"
