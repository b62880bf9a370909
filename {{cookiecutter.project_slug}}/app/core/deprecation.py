"""Deprecated endpoints: they say so in every response (RFC 9745 and RFC 8594), and are gone after their date."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus

from fastapi.params import Depends
from starlette.requests import HTTPConnection

from app.core.db.base import utc_now
from app.core.errors import Failure
from app.core.middleware import add_headers
from app.core.routing import Deprecated


class Gone(Failure):
    """The endpoint was removed, as announced."""

    status = HTTPStatus.GONE

    def __init__(self, sunset: datetime, successor: str | None) -> None:
        instead = f" Use {successor} instead." if successor else ""
        super().__init__(f"This endpoint was removed on {sunset:%Y-%m-%d}.{instead}")


@dataclass(frozen=True)
class Deprecation:
    """When an endpoint was deprecated, when it will be removed, and what replaces it."""

    since: datetime
    sunset: datetime | None = None
    successor: str | None = None

    async def __call__(self, connection: HTTPConnection) -> None:
        """Announce it; raise `Gone` after the date."""
        headers = {"Deprecation": f"@{int(self.since.timestamp())}"}
        if self.sunset:
            headers["Sunset"] = format_datetime(self.sunset.astimezone(UTC), usegmt=True)
        if self.successor:
            headers["Link"] = f'<{self.successor}>; rel="successor-version"'
        add_headers(connection.scope, headers)
        if self.sunset and self.sunset <= utc_now():
            raise Gone(self.sunset, self.successor)


def deprecated(
    *, since: datetime, sunset: datetime | None = None, successor: str | None = None
) -> Depends:
    """For the `dependencies` of an endpoint: deprecated `since` then, gone from `sunset` on; `successor` is a path.

    Give clients two years between the two.
    """
    if since.tzinfo is None or (sunset and (sunset.tzinfo is None or sunset <= since)):
        raise ValueError("give times with a zone, the sunset after `since`")
    return Deprecated(Deprecation(since, sunset, successor))
