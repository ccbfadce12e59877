"""The answer to one text: the one object that Python, command line, files and HTTP all print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

# Enough to rank and to threshold; more would only show the noise of int8 arithmetic.
DECIMALS = 4


@dataclass(frozen=True, slots=True)
class Span:
    """Words that speak for a label: ``text`` = the caller's text from ``start`` to before ``end``.

    ``weight`` is the share of the label's support that goes when the words go, 0..1.
    """

    start: int
    end: int
    text: str
    weight: float


@dataclass(frozen=True, slots=True)
class LabelScore:
    """A label given to the text, with its Chinese name, probability and evidence (when asked for)."""

    label: str
    name: str
    probability: float
    group: str | None = None
    evidence: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class RaisedBy:
    """A severity rule that fired: its id, Chinese name, the level it asks for, and the words that fired it."""

    rule: str
    name: str
    level: int
    evidence: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Severity:
    """Level 0 (not a complaint) and up; ``model_level`` is the level before rules raised it."""

    level: int
    name: str
    probabilities: tuple[float, ...]
    model_level: int
    raised_by: tuple[RaisedBy, ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the reader of the answer should know: a stable ``code`` and a sentence."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which model answered."""

    name: str
    version: str
    taxonomy_version: str


@dataclass(frozen=True, slots=True)
class Classification:
    """All labels of one text. ``causes`` and ``motives`` come most probable first, none for a non-complaint."""

    is_complaint: bool
    complaint_probability: float
    causes: tuple[LabelScore, ...]
    cause_groups: dict[str, float]
    motives: tuple[LabelScore, ...]
    severity: Severity
    style: LabelScore
    confidence: float
    decision: str
    review_reasons: tuple[str, ...]
    warnings: tuple[Notice, ...]
    model: ModelInfo
    id: str | int | None = field(default=None)

    def to_row(self) -> dict[str, Any]:
        """Labels only, one flat row as evaluation reads it: id (when given), causes, motives, severity, style, ..."""
        row: dict[str, Any] = {} if self.id is None else {"id": self.id}
        row["causes"] = [cause.label for cause in self.causes]
        row["motives"] = [motive.label for motive in self.motives]
        row["severity"] = self.severity.level
        row["style"] = self.style.label
        row["confidence"] = _rounded(self.confidence)
        row["decision"] = self.decision
        return row

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for ``json.dumps``; probabilities with four decimals."""
        answer: dict[str, Any] = {} if self.id is None else {"id": self.id}
        answer["is_complaint"] = self.is_complaint
        answer["complaint_probability"] = _rounded(self.complaint_probability)
        answer["causes"] = [_label(cause) for cause in self.causes]
        answer["cause_groups"] = {group: _rounded(value) for group, value in self.cause_groups.items()}
        answer["motives"] = [_label(motive) for motive in self.motives]
        answer["severity"] = {
            "level": self.severity.level,
            "name": self.severity.name,
            "probabilities": [_rounded(value) for value in self.severity.probabilities],
            "model_level": self.severity.model_level,
            "raised_by": [
                {"rule": r.rule, "name": r.name, "level": r.level, "evidence": _spans(r.evidence)}
                for r in self.severity.raised_by
            ],
        }
        answer["style"] = {
            "label": self.style.label,
            "name": self.style.name,
            "probability": _rounded(self.style.probability),
        }
        answer["confidence"] = _rounded(self.confidence)
        answer["decision"] = self.decision
        answer["review_reasons"] = list(self.review_reasons)
        answer["warnings"] = [{"code": notice.code, "message": notice.message} for notice in self.warnings]
        answer["model"] = {
            "name": self.model.name,
            "version": self.model.version,
            "taxonomy_version": self.model.taxonomy_version,
        }
        return answer


def _rounded(value: float) -> float:
    return round(float(value), DECIMALS)


def _spans(spans: Sequence[Span]) -> list[dict[str, Any]]:
    return [{"start": s.start, "end": s.end, "text": s.text, "weight": _rounded(s.weight)} for s in spans]


def _label(score: LabelScore) -> dict[str, Any]:
    answer: dict[str, Any] = {"label": score.label, "name": score.name}
    if score.group is not None:
        answer["group"] = score.group
    answer["probability"] = _rounded(score.probability)
    answer["evidence"] = _spans(score.evidence)
    return answer
