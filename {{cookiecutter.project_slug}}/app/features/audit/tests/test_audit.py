"""Audit events are committed with the change or not at all, and stay."""

import pytest
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.audit.models import AuditEvent
from app.features.audit.service import masked
from conftest import PASSWORD, Account

URL = "/api/v1/audit-events"


async def test_a_change_says_who_what_and_from_where(admin: Account, member: Account) -> None:
    changed = await admin.client.patch(f"/api/v1/users/{member.id}", json={"full_name": "Ada"})

    query = {"action": "user.changed", "object_id": str(member.id)}
    events = (await admin.client.get(URL, params=query)).json()["items"]
    assert len(events) == 1
    assert events[0]["actor_id"] == str(admin.id)
    assert events[0]["session_id"]
    assert events[0]["address"] == "127.0.0.1"
    assert events[0]["correlation_id"] == changed.headers["X-Correlation-ID"]
    assert events[0]["before"] == {"full_name": ""}
    assert events[0]["after"] == {"full_name": "Ada"}


async def test_a_change_that_fails_is_not_on_record(admin: Account, session: AsyncSession) -> None:
    refused = await admin.client.patch(f"/api/v1/users/{admin.id}", json={"is_active": False})

    assert refused.status_code == 409
    events = select(AuditEvent).where(AuditEvent.action == "user.changed")
    assert (await session.scalars(events)).all() == []


async def test_a_failed_login_is_on_record(
    client: AsyncClient, member: Account, session: AsyncSession
) -> None:
    form = {"username": member.email, "password": "not " + PASSWORD}
    await client.post("/api/v1/auth/login", data=form)

    events = select(AuditEvent).where(AuditEvent.action == "auth.login_failed")
    assert [event.object_id for event in await session.scalars(events)] == [member.id]


async def test_the_log_is_for_those_who_may_read_it(client: AsyncClient, member: Account) -> None:
    assert (await client.get(URL)).status_code == 401
    assert (await member.client.get(URL)).status_code == 403


async def test_the_log_is_read_page_by_page(admin: Account) -> None:
    for number in range(5):
        new: dict[str, object] = {"name": f"role-{number}", "permissions": []}
        await admin.client.post("/api/v1/roles", json=new)

    seen: list[str] = []
    query: dict[str, str | int] = {"action": "role.created", "limit": 2}
    while True:
        page = (await admin.client.get(URL, params=query)).json()
        seen += [event["after"]["name"] for event in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]

    assert seen == [f"role-{number}" for number in (4, 3, 2, 1, 0)]


def test_secrets_are_masked() -> None:
    assert masked({"email": "a@example.com", "password_hash": "x", "token": "y"}) == {
        "email": "a@example.com",
        "password_hash": "***",
        "token": "***",
    }


@pytest.mark.parametrize(
    "query",
    [
        {"since": "0001-01-01T00:00:00+14:00"},
        {"since": "0.5"},
        {"since": "2026-01-01T00:00:00"},
        {"action": "a\x00b"},
    ],
    ids=str,
)
async def test_what_cannot_be_asked_is_refused(admin: Account, query: dict[str, str]) -> None:
    assert (await admin.client.get(URL, params=query)).status_code == 422
