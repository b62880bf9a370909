"""How many statements a request costs, with production sessions."""

from collections.abc import Generator
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncEngine

from conftest import Account


@pytest.fixture
def executed(engine: AsyncEngine) -> Generator[list[str]]:
    """The statements executed meanwhile."""
    statements: list[str] = []

    def note(connection: object, cursor: object, statement: str, *_: Any) -> None:  # noqa: ANN401
        statements.append(statement)

    sync: Engine = engine.sync_engine
    event.listen(sync, "before_cursor_execute", note)
    yield statements
    event.remove(sync, "before_cursor_execute", note)


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
