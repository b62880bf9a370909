"""How many statements a request costs, with production sessions."""

import pytest

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
