"""What requests and responses are made of."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

# No control characters (Unicode's Cc): not every database stores NUL, and the others forge lines in logs
# and mails. Nor what breaks a line or turns its direction, so that it reads as something else. What joins
# characters, in many scripts and in emoji, is welcome. Written as ECMA 262 and Rust both read it.
UNSAFE = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
Line = Annotated[str, StringConstraints(strip_whitespace=True, pattern=rf"^[^{UNSAFE}]*$")]
# Text has lines, and marks of direction that reach no further than the characters beside them.
TEXT = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]*$"
Text = Annotated[str, StringConstraints(pattern=TEXT)]

# For a field of a change: it may be left out, `model_dump(exclude_unset=True)` then lacks it, and it
# may not be null.
UNCHANGED: Any = Field(default_factory=lambda: None)

# For a line that says something: the white space around it does not count.
NOT_BLANK = Field(min_length=1, json_schema_extra={"allOf": [{"pattern": r"[^\s\x85]"}]})


def refuse_number(value: object) -> object:
    """Pydantic would take `0.5` for half a second after 1970."""
    if isinstance(value, str) and re.fullmatch(r"[\s0-9.+eE-]*", value):
        raise ValueError("give date, time and offset, such as 2026-03-01T12:00:00Z")
    return value


def refuse_no_number(value: object) -> object:
    """Pydantic would take `true` for 1, and text for the number in it."""
    if isinstance(value, bool | str):
        raise ValueError("give a whole number")  # noqa: TRY004, pydantic tells it as its own
    return value


def in_utc(value: datetime) -> datetime:
    """The same instant in UTC, which knows no year 0."""
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("is out of range") from None


# For a whole number in a body, behind its bounds; JSON knows no difference between 5 and 5.0.
WHOLE = BeforeValidator(refuse_no_number)

# An instant in a query, as RFC 3339 writes it.
Instant = Annotated[AwareDatetime, BeforeValidator(refuse_number), AfterValidator(in_utc)]


class Input(BaseModel):
    """The body of a request; a field that is not declared is refused."""

    model_config = ConfigDict(extra="forbid")


class Output(BaseModel):
    """A response, read from a row."""

    model_config = ConfigDict(from_attributes=True)


class Stored(Output):
    """What every stored thing shows."""

    id: UUID
    created_at: AwareDatetime
    updated_at: AwareDatetime
