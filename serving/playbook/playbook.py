"""The playbook: loaded once, asked for a plan for every classification."""

from __future__ import annotations

from pathlib import Path

from model.classification import Classification
from model.taxonomy import Taxonomy, load_taxonomy
from serving.playbook.clocks import Clocks
from serving.playbook.context import CaseContext
from serving.playbook.facts import Facts, facts_of, meets_any
from serving.playbook.loading import SHIPPED, Contents, read_contents, shipped
from serving.playbook.plan import Basis, Due, Owner, Plan, PlannedStrategy
from serving.playbook.problems import closest
from serving.playbook.rules import Rule
from serving.playbook.selection import Choice, choices, uncovered, unreplaced
from serving.playbook.strategies import Strategy


class Playbook:
    """Strategies and rules of one version. Immutable: a reload makes a new one, so a bad file changes nothing."""

    def __init__(self, contents: Contents, taxonomy: Taxonomy, path: Path) -> None:
        self.contents = contents
        self.taxonomy = taxonomy
        self.path = path

    @classmethod
    def load(cls, path: Path | None = None, taxonomy: Taxonomy | None = None) -> Playbook:
        """Load the folder or file at ``path``, or the playbook that ships.

        A tenant's playbook is checked against ``taxonomy`` (the model's; the shipped one unless given).
        The shipped one is always for the shipped labels; others find no strategy in it, which plans say.
        Raises InvalidPlaybook with every error found.
        """
        if path is None or path.resolve() == SHIPPED.resolve():
            return cls(shipped(), load_taxonomy(), SHIPPED)
        taxonomy = taxonomy or load_taxonomy()
        return cls(read_contents(path, taxonomy), taxonomy, path)

    def reload(self) -> Playbook:
        """A new playbook from the same place; raises InvalidPlaybook and leaves this one as it is."""
        return Playbook.load(self.path, self.taxonomy)

    @property
    def version(self) -> str:
        """The version that the playbook's files give."""
        return self.contents.version

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits of the content of the playbook's own files; tells edits without a new version."""
        return self.contents.fingerprint

    @property
    def strategies(self) -> tuple[Strategy, ...]:
        """All strategies in the order of the files."""
        return tuple(self.contents.strategies.values())

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All rules in the order of the files."""
        return tuple(self.contents.rules.values())

    def plan(self, classification: Classification, context: CaseContext) -> Plan:
        """The plan for one case: same classification, context and playbook, same plan."""
        settings = self.contents.settings
        clocks = Clocks(context, settings.timezone)
        facts = facts_of(classification, context, self.taxonomy, settings)
        self._warn_unknown(context, clocks)
        level = str(classification.severity.level)
        delicate = meets_any(settings.human.cases, facts)
        # What a person must decide does not depend on which strategies the agent has room to read.
        decided = delicate or meets_any(settings.human.strategies, facts)
        # A rule may raise a text to a complaint that the model took for none.
        complaint = classification.severity.level > 0
        if not complaint or level not in settings.first_reply:
            if complaint:
                clocks.warn("no_strategy", f"处置手册没有严重度 {level} 的首次响应时限")
            decided = complaint and decided
            return Plan((), clocks.warnings, decided, None, clocks.received, settings.notice, self.version)
        if classification.decision == "review":
            clocks.warn("labels_need_review", "标签置信度不足，请先由人工核对标签，再按方案处理")
        first_reply = clocks.due(settings.first_reply[level])
        found = [c for c in choices(self.strategies, facts, self.taxonomy) if self._applies(c.strategy, clocks)]
        for reason in uncovered(facts, found, self.taxonomy):
            clocks.warn("no_strategy", f"处置手册没有对应策略，请人工确定处理办法（{reason.text}）")
        fitting = unreplaced(found)
        decided = decided or any(choice.strategy.human_decision for choice in fitting)
        read = fitting[: settings.max_strategies]
        planned = [(self._planned(c, facts, clocks, first_reply, delicate), c) for c in read]
        planned.sort(key=lambda pair: (clocks.order(pair[0].due), pair[1].tier, pair[1].order))
        chosen = tuple(strategy for strategy, _ in planned)
        late = [strategy.title.zh for strategy in chosen if strategy.due.at and strategy.due.at < clocks.now]
        if late:
            clocks.warn("overdue", f"已超过处理时限：{'、'.join(late)}")
        return Plan(
            strategies=chosen,
            warnings=clocks.warnings,
            human_decision=decided,
            first_reply=first_reply,
            received_at=clocks.received,
            notice=settings.notice,
            playbook_version=self.version,
        )

    def _warn_unknown(self, context: CaseContext, clocks: Clocks) -> None:
        settings = self.contents.settings
        for key, word, value, known in (
            ("channel", "渠道", context.channel, settings.channels),
            ("industry", "行业", context.industry, settings.industries),
        ):
            if value is not None and value not in known:
                # The caller's word is cut: it may be anything.
                hint = closest(value, list(known)).removeprefix("; the closest known is ")
                near = f"，最接近的是 {hint}" if hint else ""
                clocks.warn(f"unknown_{key}", f"处置手册不认识{word} {value[:40]!r}{near}；未按{word}选择策略")

    def _applies(self, strategy: Strategy, clocks: Clocks) -> bool:
        # A strategy that is there to meet a rule's limit goes with the rule.
        rule = self.contents.rules.get(strategy.due_rule or "")
        if rule is None or clocks.in_force(rule):
            return True
        clocks.not_in_force(rule)
        return False

    def _planned(
        self, choice: Choice, facts: Facts, clocks: Clocks, first_reply: Due, delicate: bool
    ) -> PlannedStrategy:
        strategy = choice.strategy
        rule = self.contents.rules.get(strategy.due_rule or "")
        limit = rule.limit if rule else strategy.limit
        due = clocks.due(limit) if limit else first_reply
        if strategy.when.style and clocks.order(first_reply) < clocks.order(due):
            due = first_reply  # how to talk with the customer is for the first talk, not for later
        return PlannedStrategy(
            id=strategy.id,
            title=strategy.title,
            steps=strategy.steps,
            owner=Owner(strategy.owner, self.contents.settings.owners[strategy.owner]),
            due=due,
            human_decision=delicate or strategy.human_decision,
            script=strategy.script,
            because=choice.reasons,
            basis=tuple(self._basis(strategy, facts, clocks)),
        )

    def _basis(self, strategy: Strategy, facts: Facts, clocks: Clocks) -> list[Basis]:
        names = dict.fromkeys((*((strategy.due_rule,) if strategy.due_rule else ()), *strategy.basis))
        found = []
        for rule in (self.contents.rules[name] for name in names):
            if not rule.concerns(facts["industry"]):
                continue
            if not clocks.in_force(rule):
                clocks.not_in_force(rule)
                continue
            due = clocks.due(rule.limit) if rule.limit and rule.counts_from_receipt else None
            clocks.ends_early(rule, due)
            found.append(Basis(rule, due))
        return found
