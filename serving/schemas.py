"""What callers may send. A field that is not known is an error: a typo must not be lost in silence."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StrictBool,
    StrictInt,
    StrictStr,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from model.intake import MAX_CHARACTERS
from serving.bundle import Case
from serving.severity import CaseFacts

# The largest whole number that every JSON reader keeps exact.
_EXACT = 2**53 - 1
_ID_LENGTH = 200
# Years outside are typing errors, and would overflow where deadlines are counted from them.
_YEARS = range(2000, 2100)


def _time(value: object) -> object:
    if value is None or isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise PydanticCustomError("time", "expected a time such as 2026-05-01T09:30:00+08:00")
    try:
        time = datetime.fromisoformat(value.upper())  # RFC 3339 allows small letters
    except ValueError:
        raise PydanticCustomError("time", "expected a time such as 2026-05-01T09:30:00+08:00") from None
    if time.year not in _YEARS:
        raise PydanticCustomError("time", "expected a year from 2000 to 2099")
    return time


# Checked by model.intake, as on the command line: that also takes lone surrogates, which pydantic's strings refuse.
Text = Annotated[
    Any,
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_CHARACTERS}),
    Field(description="The complaint in the customer's own words."),
]


def _id(value: object) -> object:
    if isinstance(value, str) and 1 <= len(value) <= _ID_LENGTH:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and -_EXACT <= value <= _EXACT:
        return value
    raise PydanticCustomError(
        "id", "expected a text of 1 to {most} characters or a whole number up to 2^53 - 1", {"most": _ID_LENGTH}
    )


# A union would do, but pydantic names both of its branches as if they were fields.
Id = Annotated[
    str | int,
    PlainValidator(_id),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1, "maxLength": _ID_LENGTH},
                {"type": "integer", "minimum": -_EXACT, "maximum": _EXACT},
            ]
        }
    ),
]
Word = Annotated[StrictStr, Field(min_length=1, max_length=64)]
Time = Annotated[datetime, BeforeValidator(_time), WithJsonSchema({"type": "string", "format": "date-time"})]
Count = Annotated[StrictInt, Field(ge=0, le=1_000_000_000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class History(_Strict):
    """What the ticket system knows of this matter."""

    prior_complaints: Count = Field(0, description="Earlier complaints of this customer about the same matter.")
    open_days: Count = Field(0, description="Calendar days the case has been open.")
    affected_customers: Count = Field(0, description="Customers known to be affected, this one included.")


class ClassifyRequest(_Strict):
    """One complaint."""

    text: Text
    id: Id | None = Field(None, description="Repeated in the answer and the log; made up when missing.")
    channel: Word | None = Field(None, description="Id of a channel of the playbook, such as hotline.")
    industry: Word | None = Field(None, description="Id of an industry of the playbook, such as food.")
    received_at: Time | None = Field(
        None,
        description="When the complaint came in (ISO 8601; without a zone in the playbook's): deadlines start then.",
    )
    history: History | None = None
    explain: StrictBool = Field(
        False, description="Add the words that speak for each label (up to nine times the work)."
    )

    def case(self, made_up: str) -> Case:
        """The same for the service; ``made_up`` is the id where none was sent."""
        facts = CaseFacts(**self.history.model_dump()) if self.history else CaseFacts()
        identity = made_up if self.id is None else self.id
        return Case(self.text, identity, self.explain, facts, self.channel, self.industry, self.received_at)


class BatchRequest(_Strict):
    """Several complaints; each item has the fields of a single request."""

    items: Annotated[
        list[Any],
        WithJsonSchema({"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/ClassifyRequest"}}),
    ]


class InferInput(BaseModel):
    """A tensor of the Open Inference Protocol."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    name: StrictStr
    datatype: StrictStr
    shape: list[Annotated[StrictInt, Field(ge=0)]]
    data: Annotated[list[Any], WithJsonSchema({"type": "array", "items": {}})]
    parameters: dict[str, Any] | None = None


class InferOutputWish(BaseModel):
    """An output asked for by name."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    name: StrictStr
    parameters: dict[str, Any] | None = None


class InferRequest(BaseModel):
    """An inference request of the Open Inference Protocol, version 2; unknown parameters are ignored, as it says."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    id: StrictStr | None = None
    parameters: dict[str, Any] | None = None
    inputs: list[InferInput]
    outputs: list[InferOutputWish] | None = None


class ErrorDetail(_Strict):
    """One wrong field."""

    field: str
    message: str


class ErrorBody(_Strict):
    """``code`` is stable, ``message`` is for people."""

    code: str
    message: str
    details: list[ErrorDetail] = []
    request_id: str | None = None


class ErrorReply(_Strict):
    """Every error of /v1."""

    error: ErrorBody


class ItemError(_Strict):
    """What stands in the place of an item that got no answer; ``status`` as if it had been sent alone."""

    id: str | int | None
    status: int
    error: ErrorBody


class InferError(_Strict):
    """Every error of /v2."""

    error: str


Decision = Literal["auto", "suggest", "review"]
