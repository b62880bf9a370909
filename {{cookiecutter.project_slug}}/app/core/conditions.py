"""Conditional requests (RFC 9110, section 13) for rows that are `Versioned`.

Endpoints take `ReadConditions` or `WriteConditions`: `conditions.show(row)` gives the response an `ETag`, and answers 304 to a
client that has this version; `conditions.expected` is for the service that changes the row.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Response
from sqlalchemy import Row

from app.core.db.versions import Expected, Versioned
from app.core.errors import NotModified
from app.core.openapi import problems

ANY = "*"
CURRENT = "private, no-cache"
"""Clients may keep the response, and ask each time whether it is still current."""
WEAK = re.compile(r'(?:W/)?"([0-9]{1,18})"')
STRONG = re.compile(r'(?<!W/)"([0-9]{1,18})"')
"""Our entity tags; a change needs one that is not weak."""
CHANGED = problems({412: "It has changed since the version in `If-Match`"})
"""For the `responses` of endpoints that change a row."""
KNOWN: dict[int | str, dict[str, Any]] = {304: {"description": "You have the current version"}}
"""For those of endpoints that show one."""

Shown = TypeVar("Shown", bound=Versioned | Row[Any])


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the client knows of the resource."""

    response: Response
    """Of the endpoint: what is added to it is not on the response to a failure, such as that of the commit."""
    expected: Expected = None
    """The versions in `If-Match`."""
    known: Expected = None
    """The versions in `If-None-Match`."""

    def show(self, row: Shown) -> Shown:
        """Give the response the version of the row that it shows, unless the client has it."""
        version: int = row.version
        headers = {"ETag": f'"{version}"', "Cache-Control": CURRENT}
        if version in (self.known or ()):
            raise NotModified(headers)
        self.response.headers.update(headers)
        return row


def versions_in(header: str | None, tag: re.Pattern[str]) -> Expected:
    """The versions in a list of entity tags; `None` without a list, or for any version."""
    if header is None or header.strip() == ANY:
        return None
    return [int(version) for version in tag.findall(header)]


IfNoneMatch = Annotated[
    str | None,
    Header(
        alias="If-None-Match",
        description="The `ETag` of the version that you have; 304 if it is still current",
    ),
]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="The `ETag` of the version that you are changing; 412 if it is no longer current",
    ),
]


async def get_reading(response: Response, if_none_match: IfNoneMatch = None) -> Conditions:
    """The conditions of a request that reads."""
    return Conditions(response, known=versions_in(if_none_match, WEAK))


async def get_writing(response: Response, if_match: IfMatch = None) -> Conditions:
    """The conditions of a request that writes."""
    return Conditions(response, expected=versions_in(if_match, STRONG))


ReadConditions = Annotated[Conditions, Depends(get_reading)]
WriteConditions = Annotated[Conditions, Depends(get_writing)]
