"""The same operation in REST and in GraphQL, and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.graphql.tests.steps import node_id_of, post
from app.features.users.models import Role
from conftest import Account, SignIn

NOBODY = UUID(int=0)
"""The id of nothing."""


def node(kind: str, id: UUID | str = NOBODY) -> str:
    """An id in the schema."""
    return node_id_of(kind, id)


@dataclass(frozen=True, slots=True)
class Operation:
    """What needs a permission, through either interface."""

    permission: str
    method: str
    path: str
    query: str
    variables: Mapping[str, object] = field(default_factory=dict[str, object])
    body: Mapping[str, object] | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}".replace(str(NOBODY), "id")

    async def in_rest(self, client: AsyncClient) -> str | None:
        """The type of the problem, if there is one."""
        sent = None if self.body is None else dict(self.body)
        answer = await client.request(self.method, f"/api/v1{self.path}", json=sent)
        return None if answer.is_success else answer.json()["type"]

    async def in_graphql(self, client: AsyncClient) -> str | None:
        """The same."""
        answer = (await post(client, self.query, **self.variables)).json()
        return answer["errors"][0]["extensions"]["type"] if "errors" in answer else None


async def holder(session: AsyncSession, sign_in: SignIn, *permissions: str) -> Account:
    """A user whose only role has just these permissions."""
    name = f"role-{uuid4().hex[:8]}"
    session.add(Role(name=name, permissions=list(permissions)))
    await session.flush()
    return await sign_in(f"{name}@example.com", name)


async def assert_alike(
    operation: Operation, session: AsyncSession, sign_in: SignIn, client: AsyncClient
) -> None:
    """Strangers, callers without the permission, and callers with it alone fare the same."""
    refusal = "urn:problem-type:not-"
    for account, expected in [
        (None, f"{refusal}authenticated"),
        (await holder(session, sign_in, "other:permission"), f"{refusal}allowed"),
    ]:
        caller = account.client if account else client
        assert await operation.in_rest(caller) == expected
        assert await operation.in_graphql(caller) == expected

    entitled = (await holder(session, sign_in, operation.permission)).client
    outcome = await operation.in_rest(entitled)
    assert outcome is None or not outcome.startswith(refusal)
    assert await operation.in_graphql(entitled) == outcome
