"""One labelled text: the form every reader gives and everything that learns or measures takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from data.labels import Dimension, label_index
from model.taxonomy import Taxonomy, load_taxonomy

# A complaint beyond this is a pasted file; the model reads a few hundred characters of a text.
MAX_CHARACTERS = 100_000


def _taxonomy(info: ValidationInfo) -> Taxonomy:
    context = info.context or {}
    found = context.get("taxonomy")
    return found if isinstance(found, Taxonomy) else load_taxonomy()


def _error(kind: str, message: str, fix: str) -> PydanticCustomError:
    # Passed as context values, not spliced into the template: a text may hold braces.
    return PydanticCustomError(kind, "{message}", {"message": message, "fix": fix})


def _known(dimension: Dimension, singular: str, label: str, info: ValidationInfo) -> str:
    taxonomy = _taxonomy(info)
    ids = {"causes": taxonomy.cause_ids, "motives": taxonomy.motive_ids, "styles": taxonomy.style_ids}[dimension]
    if label not in ids:
        shared = label_index(taxonomy).meant(dimension, label)
        if len(shared) > 1:
            message = f"{singular} {label!r} is a name of {len(shared)} labels"
            raise _error("ambiguous_label", message, f"write the id instead: {' or '.join(shared)}")
        closest = label_index(taxonomy).closest(dimension, label)
        raise _error("unknown_label", f"unknown {singular} {label!r}", f"closest known: {closest}")
    return label


def _known_cause(label: str, info: ValidationInfo) -> str:
    return _known("causes", "cause", label, info)


def _known_motive(label: str, info: ValidationInfo) -> str:
    return _known("motives", "motive", label, info)


class LabelledText(BaseModel):
    """A text and its labels, checked against a taxonomy.

    The taxonomy is the one kesu ships unless another is given, by :meth:`parse` or by
    ``model_validate(row, context={"taxonomy": taxonomy})``. Causes and motives are ids in
    order of weight, the primary one first. A text without a style gets the neutral one.
    Severity 0 means "not a complaint": exactly then there is no cause and no motive.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1)
    text: str
    causes: tuple[Annotated[str, AfterValidator(_known_cause)], ...] = ()
    motives: tuple[Annotated[str, AfterValidator(_known_motive)], ...] = ()
    severity: int
    style: str = Field(default="", validate_default=True)
    domain: str | None = None
    channel: str | None = None
    origin: str | None = None
    split: str | None = None
    source: str | None = None

    @classmethod
    def parse(cls, row: Mapping[str, Any], taxonomy: Taxonomy) -> Self:
        """The row as a LabelledText of ``taxonomy``; raises pydantic's ValidationError."""
        return cls.model_validate(row, context={"taxonomy": taxonomy})

    @field_validator("text")
    @classmethod
    def _readable(cls, text: str) -> str:
        if not text.strip():
            raise _error("empty_text", "the text is empty", "fill it in or delete the row")
        if "\x00" in text:
            raise _error("nul", "the text holds a NUL byte", "export the file again; it is damaged or not text")
        if len(text) > MAX_CHARACTERS:
            message = f"the text has {len(text):,} characters; at most {MAX_CHARACTERS:,} are allowed"
            raise _error("too_long", message, "keep the customer's words only, without attachments")
        return text

    @field_validator("causes", "motives")
    @classmethod
    def _each_once(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(labels)) != len(labels):
            doubled = next(label for label in labels if labels.count(label) > 1)
            raise _error("doubled_label", f"label {doubled!r} is given twice", "give each label once")
        return labels

    @field_validator("severity")
    @classmethod
    def _known_level(cls, severity: int, info: ValidationInfo) -> int:
        taxonomy = _taxonomy(info)
        if not 0 <= severity < taxonomy.levels:
            levels = ", ".join(f"{label.id} {label.zh}" for label in taxonomy.severities)
            raise _error("unknown_severity", f"unknown severity {severity}", f"known levels: {levels}")
        return severity

    @field_validator("style")
    @classmethod
    def _known_style(cls, style: str, info: ValidationInfo) -> str:
        return _known("styles", "style", style, info) if style else _taxonomy(info).neutral_style

    @field_validator("domain", "channel", "origin", "split", "source")
    @classmethod
    def _blank_is_none(cls, value: str | None) -> str | None:
        return value or None

    @model_validator(mode="after")
    def _complaint_or_not(self) -> Self:
        if self.severity == 0 and (self.causes or self.motives):
            labels = ", ".join((*self.causes, *self.motives))
            message = f"severity 0 means 'not a complaint', but the row has {labels}"
            raise _error("labels_without_complaint", message, "raise the severity or remove the causes and motives")
        if self.severity > 0 and not (self.causes or self.motives):
            message = f"severity {self.severity} is a complaint, but the row has neither cause nor motive"
            raise _error("complaint_without_labels", message, "add a cause or motive, or set severity to 0")
        return self

    def as_row(self) -> dict[str, Any]:
        """The fields for JSON, lists as lists, absent optional fields left out."""
        return self.model_dump(mode="json", exclude_none=True)
