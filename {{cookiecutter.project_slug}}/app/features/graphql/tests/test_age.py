"""What requires a recent sign-in requires it over GraphQL too."""

from datetime import timedelta

from sqlalchemy import update

from app.core.db.base import utc_now
from app.core.db.session import Database, unit_of_work
from app.features.auth.models import AuthSession
from app.features.graphql.tests.steps import ask, refused
from conftest import Account


async def test_an_old_session_does_not_delete_the_account(
    database: Database, member: Account
) -> None:
    async with unit_of_work(database) as session:
        old = utc_now() - timedelta(minutes=21)
        await session.execute(update(AuthSession).values(created_at=old))

    assert await refused(member.client, "mutation { deleteMe }") == ["sign-in-again"]
    assert (await ask(member.client, "{ me { email } }"))["me"]["email"] == member.email
