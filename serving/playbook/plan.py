"""The handling plan of one case, ready to print or to send."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from model.classification import Notice
from serving.playbook.fields import Bilingual
from serving.playbook.limits import Limit
from serving.playbook.rules import Rule


@dataclass(frozen=True, slots=True)
class Due:
    """A limit from the receipt of the complaint and when it ends; ``at`` is None when the calendar lacks the year."""

    limit: Limit
    at: datetime | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON: ``{"hours": 4, "at": "2025-10-09T13:00:00+08:00"}``."""
        return {**self.limit.to_dict(), "at": self.at.isoformat(timespec="seconds") if self.at else None}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a strategy was chosen: the key of its condition, the value of the case, and a sentence."""

    key: str
    value: str
    text: str
    probability: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        answer: dict[str, Any] = {"key": self.key, "value": self.value, "text": self.text}
        if self.probability is not None:
            answer["probability"] = round(self.probability, 4)
        return answer


@dataclass(frozen=True, slots=True)
class Basis:
    """A rule that the strategy rests on, in force for this case; ``due`` where it sets the merchant a date."""

    rule: Rule
    due: Due | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        rule = self.rule
        answer: dict[str, Any] = {
            "id": rule.id,
            "law": rule.law.to_dict(),
            "article": rule.article,
            "what": rule.what.to_dict(),
            "who": rule.who,
        }
        if rule.limit is not None:
            answer["limit"] = rule.limit.to_dict()
            answer["starts"] = rule.starts.to_dict() if rule.starts else "received"
        if self.due is not None:
            answer["at"] = self.due.at.isoformat(timespec="seconds") if self.due.at else None
        answer["valid_from"] = rule.valid_from.isoformat() if rule.valid_from else None
        answer["valid_to"] = rule.valid_to.isoformat() if rule.valid_to else None
        answer["source"] = rule.source
        return answer


@dataclass(frozen=True, slots=True)
class Owner:
    """The role that does it."""

    id: str
    name: Bilingual


@dataclass(frozen=True, slots=True)
class PlannedStrategy:
    """A strategy chosen for the case."""

    id: str
    title: Bilingual
    steps: tuple[str, ...]
    owner: Owner
    due: Due
    human_decision: bool
    script: tuple[str, ...]
    because: tuple[Reason, ...]
    basis: tuple[Basis, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "id": self.id,
            "title": self.title.to_dict(),
            "steps": list(self.steps),
            "owner": {"id": self.owner.id, **self.owner.name.to_dict()},
            "due": self.due.to_dict(),
            "human_decision": self.human_decision,
            "script": list(self.script),
            "because": [reason.to_dict() for reason in self.because],
            "basis": [basis.to_dict() for basis in self.basis],
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, most urgent first; empty for a text that is no complaint.

    ``human_decision``: a person must decide before anything is refused, paid or closed; also when the
    strategy that asks for it is not among the few that are listed.
    ``first_reply`` is None for a text that is no complaint. ``notice`` says what the plan is not.
    """

    strategies: tuple[PlannedStrategy, ...]
    warnings: tuple[Notice, ...]
    human_decision: bool
    first_reply: Due | None
    received_at: datetime
    notice: Bilingual
    playbook_version: str

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for ``json.dumps``."""
        return {
            "strategies": [strategy.to_dict() for strategy in self.strategies],
            "warnings": [{"code": notice.code, "message": notice.message} for notice in self.warnings],
            "human_decision": self.human_decision,
            "first_reply": self.first_reply.to_dict() if self.first_reply else None,
            "received_at": self.received_at.isoformat(),
            "notice": self.notice.to_dict(),
            "playbook_version": self.playbook_version,
        }
