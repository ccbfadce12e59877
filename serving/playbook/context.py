"""What the caller knows about a case beside its text."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class CaseContext:
    """Circumstances of one complaint.

    ``channel`` and ``industry`` are ids of the playbook (others are warned about and ignored).
    ``received_at`` starts the clocks and ``now`` (the current time unless given) tells which rules are
    in force and what is overdue; a time without a zone is in the playbook's zone, Asia/Shanghai by default.
    """

    channel: str | None = None
    industry: str | None = None
    received_at: datetime | None = None
    now: datetime = field(default_factory=_now)
