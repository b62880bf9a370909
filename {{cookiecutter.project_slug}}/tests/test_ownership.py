"""One rule says whose rows a caller may access: what a list shows is what a detail shows, and the other way round."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.session import Database
from app.core.listing import Listing
from app.core.security.ownership import OwnedBy
from app.core.security.principal import EVERYTHING, Principal
from app.features.audit.models import AuditEvent
from app.features.audit.permissions import AuditPermission
from app.features.audit.schemas import AuditQuery

RULE = OwnedBy(AuditEvent.actor_id, AuditPermission.READ)
EVENTS = Listing(AuditQuery, AuditEvent, owner=AuditEvent.actor_id)
ADA, GRACE = uuid4(), uuid4()


def caller(user_id: UUID, *permissions: str) -> Principal:
    """A caller with these permissions."""
    return Principal(user_id=user_id, permissions=frozenset(permissions))


@pytest.fixture
async def events(session: AsyncSession) -> dict[UUID, UUID | None]:
    """Events of two people, and one of no person, by id."""
    rows = [
        AuditEvent(action="test.owned", object_type="test", actor_id=owner)
        for owner in (ADA, ADA, GRACE, None)
    ]
    session.add_all(rows)
    await session.flush()
    return {row.id: row.actor_id for row in rows}


@pytest.mark.parametrize(
    ("principal", "number"),
    [
        (caller(ADA), 2),
        (caller(GRACE), 1),
        (caller(uuid4()), 0),
        (caller(ADA, "audit:write"), 2),
        (caller(ADA, AuditPermission.READ), 4),
        (caller(uuid4(), EVERYTHING), 4),
    ],
)
async def test_an_endpoint_and_a_list_show_the_same_rows(
    database: Database, events: dict[UUID, UUID | None], principal: Principal, number: int
) -> None:
    only = RULE.only(principal)
    query = AuditQuery.model_validate({"action": "test.owned", "with_total": True})

    page = await EVENTS.page(database, query, only=only)
    found = [each for each in events if await EVENTS.one(database, each, only=only)]

    assert {row.id for row in page.items} == set(found)
    assert page.total == len(found) == number
    for row in (await EVENTS.page(database, query)).items:
        assert RULE.allows(principal, row) == (row.id in found)


async def test_a_list_of_one_owner_is_paged_like_any_other(
    database: Database, events: dict[UUID, UUID | None]
) -> None:
    query = AuditQuery.model_validate({"action": "test.owned", "limit": 1})
    first = await EVENTS.page(database, query, only=ADA)
    rest = query.model_copy(update={"cursor": first.next_cursor})
    second = await EVENTS.page(database, rest, only=ADA)

    assert {events[row.id] for row in (*first.items, *second.items)} == {ADA}
    assert first.items[0].id != second.items[0].id
    assert second.next_cursor is None


async def test_a_list_without_an_owner_shows_nothing_of_one(database: Database) -> None:
    ownerless = Listing(AuditQuery, AuditEvent)

    with pytest.raises(TypeError, match="AuditEvent its `owner`"):
        await ownerless.page(database, AuditQuery.model_validate({}), only=ADA)
    with pytest.raises(TypeError, match="AuditEvent its `owner`"):
        await ownerless.one(database, uuid4(), only=ADA)
