"""Column types that behave the same on every database, and the columns of foreign keys."""

from datetime import UTC, datetime
from typing import Any, Self

from sqlalchemy import DateTime, Dialect, String, TypeDecorator
from sqlalchemy.types import TypeEngine

from app.core.db.dialects import BY_SCHEME


class ExactText(TypeDecorator[str]):
    """Text for names and addresses, compared with case and accents on every database."""

    impl = String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    @property
    def python_type(self) -> type[str]:
        """The type of the values in Python."""
        return str

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        """The type in each database."""
        return dialect.type_descriptor(BY_SCHEME[dialect.name].exact_text(self.length))


class UTCDateTime(TypeDecorator[datetime]):
    """An instant, to the microsecond; always aware and in UTC, whatever the database returns."""

    impl = DateTime
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        """The type of the values in Python."""
        return datetime

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime]:
        """The type in each database."""
        return dialect.type_descriptor(BY_SCHEME[dialect.name].instant)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive time, whose instant is ambiguous."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        in_utc = value.astimezone(UTC)
        keeps_zone = BY_SCHEME[dialect.name].instant.timezone
        return in_utc if keeps_zone else in_utc.replace(tzinfo=None)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:  # noqa: ANN401, a private type of SQLAlchemy's
        """None where the driver returns times in UTC, as a list reads many."""
        keeps_zone = BY_SCHEME[dialect.name].instant.timezone
        return None if keeps_zone else super().result_processor(dialect, coltype)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Restore the time zone that some databases drop."""
        return None if value is None else value.replace(tzinfo=UTC)

    def coerce_compared_value(self, op: object, value: object) -> Self:
        """Compare with datetimes by the same rules."""
        return self


def references(table: str, *columns: str) -> tuple[list[str], list[str]]:
    """These columns and those of the table that they refer to: the same, but for the last, which holds an id."""
    return [*columns], [f"{table}.{name}" for name in (*columns[:-1], "id")]
