from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from app.core.db.base import Base, utc_now
from app.core.db.session import Database, reading, unit_of_work
from app.core.jobs import purge
from app.core.jobs.outbox import enqueue
from app.core.jobs.runner import run_due
from app.core.settings import Settings
from app.features.auth.jobs import purge_sessions
from app.features.auth.models import AuthSession, MailedToken, RefreshToken
from conftest import PASSWORD, Account
from tests.inline import serving


async def test_what_expired_long_ago_is_forgotten_a_batch_at_a_time(
    committed_admin: Account,
    committed_db: Database,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(purge, "BATCH", 2)
    client, email = committed_admin.client, committed_admin.email
    for _ in range(4):
        form = {"username": email, "password": PASSWORD}
        tokens = (await client.post("/api/v1/auth/login", data=form)).json()
        token = {"refresh_token": tokens["refresh_token"]}
        assert (await client.post("/api/v1/auth/refresh", json=token)).status_code == 200
        await client.post("/api/v1/auth/forgot-password", json={"email": email})
    async with unit_of_work(committed_db) as session:
        long_ago = utc_now() - timedelta(days=31)
        oldest = select(AuthSession.id).order_by(AuthSession.id).limit(1)
        first = await session.scalar(oldest)
        expired = update(AuthSession).where(AuthSession.id != first)
        await session.execute(expired.values(expires_at=long_ago))
        await session.execute(update(MailedToken).values(expires_at=long_ago))
        await enqueue(session, purge_sessions)

    runs = await run_due(
        serving(committed_db, settings=settings, jobs={"auth.purge": purge_sessions})
    )

    async def count(model: type[Base]) -> int | None:
        async with reading(committed_db) as session:
            return await session.scalar(select(func.count()).select_from(model))

    assert runs > 4
    assert [await count(model) for model in (AuthSession, RefreshToken, MailedToken)] == [1, 1, 0]
    assert (await client.get("/api/v1/users/me")).status_code == 200
