"""What the caller knows about a case that its text need not say."""

from __future__ import annotations

from dataclasses import dataclass, fields

from model.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """Counts told by the caller; 0 where nothing is known.

    ``prior_complaints``: earlier complaints of this customer about the same matter.
    ``affected_customers``: customers known to be affected, this one included.
    ``open_days``: calendar days the case has been open.

    Raises InvalidInput for anything but whole numbers from 0.
    """

    prior_complaints: int = 0
    affected_customers: int = 0
    open_days: int = 0

    def __post_init__(self) -> None:
        for name in FACTS:
            value: object = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise InvalidInput(f"{name}: expected a whole number from 0, found {value!r}")


FACTS = tuple(field.name for field in fields(CaseFacts))
