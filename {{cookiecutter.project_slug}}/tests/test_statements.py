"""How many statements a request costs, with production sessions."""

import pytest
from sqlalchemy import select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import selectinload

from app.core.db.session import Database, reading
from app.features.users.models import User
from conftest import Account


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("/users/me", 1),
        ("/users", 3),
        ("/users?with_total=true", 4),
        ("/roles", 2),
        ("/audit-events", 2),
        ("/jobs", 2),
        ("/auth/sessions", 2),
    ],
)
async def test_a_read_costs_its_authentication_and_what_it_shows(
    committed_admin: Account, executed: list[str], path: str, count: int
) -> None:
    answer = await committed_admin.client.get(f"/api/v1{path}")

    assert answer.status_code == 200, answer.text
    assert len(executed) == count, executed


async def test_a_relationship_that_no_statement_names_is_not_loaded_behind_its_back(
    committed_admin: Account, committed_db: Database
) -> None:
    async with reading(committed_db) as session:
        user = await session.get_one(User, committed_admin.id)
        with pytest.raises(
            InvalidRequestError, match=r"'User\.roles' is not available due to lazy='raise'"
        ):
            list(user.roles)
        named = select(User).options(selectinload(User.roles)).filter_by(id=user.id)
        loaded = await session.scalar(named.execution_options(populate_existing=True))

    assert loaded
    assert [role.name for role in loaded.roles] == ["admin"]
