"""The documented form of an answer: what /docs shows and the tests hold every answer against."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from serving.schemas import Decision, ItemError

Probability = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SpanReply(_Part):
    """Words of the caller's text, from ``start`` to before ``end`` (in characters)."""

    start: int
    end: int
    text: str
    weight: Probability


class CauseReply(_Part):
    """A cause; the first is the primary one."""

    label: str
    name: str
    group: str
    probability: Probability
    evidence: list[SpanReply]


class MotiveReply(_Part):
    """What the customer is after; the first is the primary one."""

    label: str
    name: str
    probability: Probability
    evidence: list[SpanReply]


class StyleReply(_Part):
    """How the customer speaks."""

    label: str
    name: str
    probability: Probability


class RaisedReply(_Part):
    """A rule that raised the severity, the level it asks for, and the words that fired it."""

    rule: str
    name: str
    level: int
    evidence: list[SpanReply]


class SeverityReply(_Part):
    """Level 0 (no complaint) to 4; ``model_level`` is the level before rules raised it."""

    level: int
    name: str
    probabilities: list[Probability]
    model_level: int
    raised_by: list[RaisedReply]


class NoticeReply(_Part):
    """Something the reader should know."""

    code: str
    message: str


class NameReply(_Part):
    """A name in Chinese and English."""

    zh: str
    en: str


class DueReply(BaseModel):
    """A limit (hours, days or working_days) and when it ends; ``at`` is null where the calendar lacks the year."""

    model_config = ConfigDict(extra="allow")

    at: str | None


class OwnerReply(_Part):
    """The role that does it."""

    id: str
    zh: str
    en: str


class ReasonReply(BaseModel):
    """Why a strategy was chosen."""

    key: str
    value: str
    text: str
    probability: Probability | None = None


class StrategyReply(_Part):
    """Something to do: steps, by whom, until when, and whether a person must decide."""

    id: str
    title: NameReply
    steps: list[str]
    owner: OwnerReply
    due: DueReply
    human_decision: bool
    script: list[str]
    because: list[ReasonReply]
    basis: list[dict[str, Any]] = Field(description="Laws and standards in force: article, limit, validity, source.")


class ModelReply(_Part):
    """What answered."""

    name: str
    version: str
    taxonomy_version: str
    playbook_version: str


class ClassifyReply(_Part):
    """The answer to one text."""

    id: str | int
    is_complaint: bool
    complaint_probability: Probability
    causes: list[CauseReply]
    cause_groups: dict[str, Probability]
    motives: list[MotiveReply]
    severity: SeverityReply
    style: StyleReply
    confidence: Probability
    decision: Decision
    review_reasons: list[str]
    first_reply: DueReply | None = Field(description="Until when the customer must have heard from somebody.")
    human_decision: bool = Field(description="A person must decide before anything is refused, paid or closed.")
    strategies: list[StrategyReply] = Field(description="What to do next, most urgent first.")
    warnings: list[NoticeReply]
    model: ModelReply


class BatchReply(_Part):
    """Answers in the order of the items."""

    results: list[ClassifyReply | ItemError]


class ModelFacts(BaseModel):
    """What answers, and its limits."""

    name: str
    version: str
    taxonomy_version: str
    playbook_version: str
    loaded_at: str
    max_tokens: int
    auto_confidence: float
    suggest_confidence: float
    max_characters: int
    max_batch_items: int
    max_body_bytes: int
    kesu_version: str
