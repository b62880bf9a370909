"""UUIDs of PostgreSQL as Python's own.

asyncpg's own subclass is created as fast, but costs pydantic three times as much to write as JSON, which a page does with
several for each row.
"""

from typing import Any
from uuid import UUID, SafeUUID

UNKNOWN = SafeUUID.unknown
# What `UUID(bytes=...)` does, without checking its arguments, which takes three times as long.
set_int, set_safe = vars(UUID)["int"].__set__, vars(UUID)["is_safe"].__set__


def decoded(data: bytes) -> UUID:
    """The UUID of these 16 bytes."""
    found = object.__new__(UUID)
    set_int(found, int.from_bytes(data))
    set_safe(found, UNKNOWN)
    return found


def encoded(value: UUID | str) -> bytes:
    """Its 16 bytes, also of its text, as asyncpg accepts it."""
    return (value if isinstance(value, UUID) else UUID(value)).bytes


async def use(connection: Any) -> None:  # noqa: ANN401, asyncpg's
    """Have the connection return them; this asks the server nothing."""
    await connection.set_type_codec(
        "uuid", schema="pg_catalog", encoder=encoded, decoder=decoded, format="binary"
    )
