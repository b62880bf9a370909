"""What ends or gives away a tenant requires a recent sign-in."""

from datetime import timedelta

from sqlalchemy import update

from app.core.db.base import utc_now
from app.core.db.session import Database, unit_of_work
from app.features.auth.models import AuthSession
from conftest import Account

URL = "/api/v1/tenants"
AGAIN = "urn:problem-type:sign-in-again"


async def test_an_old_session_neither_deletes_nor_transfers_a_tenant(
    database: Database, member: Account
) -> None:
    tenant = (await member.client.post(URL, json={"name": "Acme"})).headers["Location"]
    async with unit_of_work(database) as session:
        old = utc_now() - timedelta(minutes=21)
        await session.execute(update(AuthSession).values(created_at=old))
    transfer = {"user_id": str(member.id)}
    refused = [
        await member.client.delete(tenant),
        await member.client.post(f"{tenant}/transfer", json=transfer),
    ]
    renamed = await member.client.patch(tenant, json={"name": "Acme 2"})

    assert [(each.status_code, each.json()["type"]) for each in refused] == [(401, AGAIN)] * 2
    assert renamed.status_code == 200
