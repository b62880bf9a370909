"""Building blocks of requests and responses."""

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

# No control characters (Unicode category Cc): not every database stores NUL, and the others forge lines
# in logs and mails. No line separators or bidirectional controls, which make text read as something else.
# Joiners, used in many scripts and in emoji, are allowed. Valid in both ECMA 262 and Rust syntax.
UNSAFE = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
Line = Annotated[str, StringConstraints(strip_whitespace=True, pattern=rf"^[^{UNSAFE}]*$")]
# Text may have line breaks, and direction marks that affect adjacent characters only.
TEXT = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]*$"
Text = Annotated[str, StringConstraints(pattern=TEXT)]

# For a field of a change: it may be omitted, also from `model_dump(exclude_unset=True)`, but it may not
# be null.
UNCHANGED: Any = Field(default_factory=lambda: None)

# For a line that is not blank: surrounding white space does not count.
NOT_BLANK = Field(min_length=1, json_schema_extra={"allOf": [{"pattern": r"[^\s\x85]"}]})


def refuse_number(value: object) -> object:
    """Refuse numbers: pydantic would read `0.5` as half a second after 1970."""
    if isinstance(value, str) and re.fullmatch(r"[\s0-9.+eE-]*", value):
        raise ValueError("must have date, time and offset, such as 2026-03-01T12:00:00Z")
    return value


def refuse_no_number(value: object) -> object:
    """Refuse `true`, which pydantic would read as 1, and numbers in text."""
    if isinstance(value, bool | str):
        raise ValueError("must be a whole number")  # noqa: TRY004, pydantic reports it
    return value


def in_utc(value: datetime) -> datetime:
    """The same instant in UTC, unless that is out of range."""
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("is out of range") from None


# For an integer in a body, after its bounds; JSON does not distinguish 5 and 5.0.
WHOLE = BeforeValidator(refuse_no_number)

# A timestamp in a query, in RFC 3339 format.
Instant = Annotated[AwareDatetime, BeforeValidator(refuse_number), AfterValidator(in_utc)]


class Input(BaseModel):
    """The body of a request; undeclared fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Output(BaseModel):
    """A response, read from a row."""

    model_config = ConfigDict(from_attributes=True)


Version = Annotated[int, Field(description="Increases with each change; in quotes, the `ETag`")]


class Stored(Output):
    """The fields of every stored resource."""

    id: UUID
    created_at: AwareDatetime
    updated_at: AwareDatetime
