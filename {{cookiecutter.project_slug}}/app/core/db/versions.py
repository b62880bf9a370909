"""Versions of rows: no change overwrites another that its author has not seen.

A model is `Versioned`. Services take the `expected` versions of what they change, and `require` one of them once the row is
locked; a change of a row that was not locked fails if another came first.
"""

from collections.abc import Collection
from http import HTTPStatus
from typing import Any

from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from app.core.db.freshness import wrote
from app.core.errors import Failure

Expected = Collection[int] | None
"""The versions of which a row must have one; `None` if it may have any."""


class VersionChanged(Failure):
    """The resource does not have the version that the client expects."""

    status = HTTPStatus.PRECONDITION_FAILED

    def __init__(self, version: int) -> None:
        super().__init__(
            "This has been changed in the meantime. Read it again and reapply your change.",
            version=version,
        )


class VersionRequired(Failure):
    """The request does not say which version it is based on."""

    status = HTTPStatus.PRECONDITION_REQUIRED

    def __init__(self) -> None:
        super().__init__("Send the `ETag` of what you are changing as `If-Match`.")


class Versioned:
    """A row that counts its changes."""

    version: Mapped[int] = mapped_column(server_default="1", sort_order=1)

    @declared_attr.directive
    @classmethod
    def __mapper_args__(cls) -> dict[str, Any]:
        return {"version_id_col": cls.version}


def require(row: Versioned, expected: Expected, *, always: bool = False) -> None:
    """Refuse to change a row of another version; `always` also refuses changes that expect none."""
    if expected is None:
        if always:
            raise VersionRequired
    elif row.version not in expected:
        wrote()  # the client needs the version that it was refused for
        raise VersionChanged(row.version)
