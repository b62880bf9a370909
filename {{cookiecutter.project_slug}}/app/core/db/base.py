"""The base of every table."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import JSON, Column, Connection, MetaData, Uuid, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Mapper, RelationshipProperty, mapped_column
from uuid_utils.compat import uuid7

from app.core.db.types import UTCDateTime

NAMING = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


# In a table's `info`: its rows are never changed, and kept for the number of days in the setting whose
# environment variable is the value; 0 is forever.
APPEND_ONLY = "append_only"
# In a column's `info`: a list is filtered by parts of its text.
SEARCHED = "searched"


def utc_now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """A row with a time-ordered key (UUIDv7, RFC 9562) and timestamps."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar = {
        datetime: UTCDateTime(),
        UUID: Uuid(),
        dict[str, Any]: JSON(none_as_null=True),
        list[str]: JSON(),
    }

    from_primary: ClassVar[bool] = False
    """Whether no replica is asked about its rows, as what was revoked would be valid while the replica lags."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7, sort_order=-3)
    created_at: Mapped[datetime] = mapped_column(default=utc_now, sort_order=-2)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now, sort_order=-1)


@cache
def constants(mapper: Mapper[Any]) -> Mapping[str, Any]:
    """The constant defaults of the columns that also have one in the database."""
    found: dict[str, Any] = {}
    for each in mapper.column_attrs:
        column = each.columns[0]
        if column is mapper.version_id_col:
            found |= {each.key: 1} if mapper.version_id_generator else {}
        elif isinstance(column, Column) and column.server_default and column.default:
            default: Any = column.default
            found |= {each.key: default.arg} if default.is_scalar else {}
    return found


@event.listens_for(Base, "before_insert", propagate=True)
def complete(mapper: Mapper[Any], _: Connection, row: Base) -> None:
    """Set them before the row is inserted: SQLAlchemy then looks for no values to read back."""
    given = vars(row)
    for name, value in constants(mapper).items():
        if name not in given:
            setattr(row, name, value)


@event.listens_for(Base, "before_mapper_configured", propagate=True)
def raise_lazy_loads(mapper: Mapper[Any], _: type[Base]) -> None:
    """Have each relationship that says nothing else refuse to load itself: the statement that needs it names it (`selectinload`)."""
    for each in mapper.iterate_properties:
        if isinstance(each, RelationshipProperty) and each.lazy == "select":
            each.lazy, each.strategy_key = "raise", (("lazy", "raise"),)
