"""Queries are read from replicas, and mutations are seen at once."""

from collections.abc import AsyncGenerator, Generator

import pytest

from app.core.db.session import Database
from app.core.read_after import HEADER
from app.core.settings import Settings
from conftest import Account, make_account
from tests import replicas

QUERY = "{ auditEvents(first: 50) { nodes { action } } me { email } }"
MUTATION = 'mutation { createRole(input: {name: "clerk", permissions: []}) { id } }'


@pytest.fixture(scope="module")
def there(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Generator[Settings]:
    """A second database, which stands for a replica."""
    with replicas.second_database(settings, tmp_path_factory.mktemp("second")) as second:
        yield second


@pytest.fixture
async def ada(
    committed_db: Database, settings: Settings, there: Settings
) -> AsyncGenerator[Account]:
    """An administrator of a service with a replica."""
    await replicas.note_event(there)
    assert there.database_url
    async with (
        replicas.following(committed_db, settings, there.database_url) as service,
        replicas.client_of(service) as client,
    ):
        yield await make_account(service.database, client, "ada@example.com", "admin")


async def asked(ada: Account, document: str) -> str:
    """The response, and whether it has a mark."""
    response = await ada.client.post("/graphql", json={"query": document})
    assert "errors" not in response.json(), response.text
    assert (HEADER in response.headers) == document.startswith("mutation")
    return response.text


async def test_a_query_is_read_from_the_replica(ada: Account) -> None:
    text = await asked(ada, QUERY)

    assert replicas.THERE in text
    assert ada.email in text


async def test_after_a_mutation_queries_are_read_from_the_primary(ada: Account) -> None:
    await asked(ada, MUTATION)
    text = await asked(ada, QUERY)

    assert replicas.THERE not in text
    assert "role.created" in text

    ada.client.cookies.clear()
    assert replicas.THERE in await asked(ada, QUERY)
