"""All SQL of idempotency keys."""

from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Row,
    String,
    Update,
    bindparam,
    delete,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import utc_now
from app.core.db.session import Database
from app.core.jobs.purge import CLOCKS_DIFFER
from app.features.idempotency.models import IdempotencyKey

FIND = select(
    IdempotencyKey.id,
    IdempotencyKey.request,
    IdempotencyKey.claim,
    IdempotencyKey.leased_until,
    IdempotencyKey.answer,
).where(IdempotencyKey.key == bindparam("key", type_=String()))


async def find(
    database: Database, key: str
) -> Row[UUID, str, UUID, datetime, dict[str, Any] | None] | None:
    """The request with this key, if there was one."""
    found = await database.rows(FIND, {"key": key})
    return found[0] if found else None


async def take_over(
    session: AsyncSession, key: str, claim: UUID, new: UUID, until: datetime
) -> bool:
    """Replace a claim whose lease has expired; returns whether it was still there."""
    expired = IdempotencyKey.leased_until < utc_now()
    return await changed(
        session,
        unanswered(key, claim)
        .where(expired)
        .values(claim=new, leased_until=until, created_at=utc_now()),
    )


async def settle(session: AsyncSession, key: str, claim: UUID, answer: dict[str, Any]) -> bool:
    """Record the response; returns whether the claim was still there."""
    return await changed(session, unanswered(key, claim).values(answer=answer))


def is_unanswered(key: str, claim: UUID) -> list[ColumnElement[bool]]:
    """The conditions of the row of this claim, unless it has a response."""
    row = IdempotencyKey
    return [row.key == key, row.claim == claim, row.answer.is_(None)]


def unanswered(key: str, claim: UUID) -> Update:
    """Change the row of this claim, unless it has a response."""
    statement = update(IdempotencyKey).where(*is_unanswered(key, claim))
    return statement.execution_options(synchronize_session=False)


async def changed(session: AsyncSession, statement: Update) -> bool:
    """Whether it changed a row."""
    result = cast("CursorResult[Any]", await session.execute(statement))
    return result.rowcount == 1


async def release(session: AsyncSession, key: str, claim: UUID) -> None:
    """Forget the request, unless it has a response."""
    statement = delete(IdempotencyKey).where(*is_unanswered(key, claim))
    await session.execute(statement, execution_options={"synchronize_session": False})


def outlived(hours: int) -> ColumnElement[bool]:
    """Requests whose responses have been kept for this many hours."""
    return IdempotencyKey.created_at < utc_now() - timedelta(hours=hours) - CLOCKS_DIFFER
