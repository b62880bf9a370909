"""What a feature that is added later grants to existing roles."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.session import Database, unit_of_work
from app.core.feature import Feature
from app.core.settings import Settings
from app.features.users import repository, roles
from app.features.users.permissions import UserPermission
from app.installed import FEATURES
from conftest import Account, make_account
from tests.inline import filled

ROLES, USERS, LOG = "/api/v1/roles", "/api/v1/users", "/api/v1/audit-events"
BEFORE = [permission.value for feature in FEATURES for permission in feature.member_permissions]
LATER = [*BEFORE, UserPermission.READ.value]


async def member_role(admin: Account) -> dict[str, Any]:
    """The role `member` as administrators see it."""
    items = (await admin.client.get(ROLES)).json()["items"]
    return next(item for item in items if item["name"] == "member")


async def changes(admin: Account) -> list[dict[str, Any]]:
    """The audit events of changed roles."""
    events = await admin.client.get(LOG, params={"action": "role.changed"})
    return events.json()["items"]


async def test_a_permission_of_a_later_feature_reaches_those_who_registered_before(
    session: AsyncSession, admin: Account, member: Account
) -> None:
    assert (await member.client.get(USERS)).status_code == 403

    await roles.seed(session, LATER)
    await session.commit()

    assert (await member.client.get(USERS)).status_code == 200
    assert (await member_role(admin))["permissions"] == LATER
    (event,) = await changes(admin)
    assert (event["before"], event["after"]) == ({"permissions": BEFORE}, {"permissions": LATER})
    assert event["actor_id"] is None


async def test_what_an_administrator_took_away_stays_away(
    session: AsyncSession, admin: Account, member: Account
) -> None:
    await roles.seed(session, LATER)
    await session.commit()
    url = f"{ROLES}/{(await member_role(admin))['id']}"
    assert (await admin.client.patch(url, json={"permissions": BEFORE})).status_code == 200

    session.expire_all()
    await roles.seed(session, LATER)
    await session.commit()

    assert (await member.client.get(USERS)).status_code == 403
    assert (await member_role(admin))["permissions"] == BEFORE


@pytest.mark.parametrize("touched", [False, True], ids=["as it was made", "changed since"])
async def test_a_role_without_recorded_grants_gets_only_what_cannot_have_been_withdrawn(
    session: AsyncSession, admin: Account, member: Account, *, touched: bool
) -> None:
    """Created by a version of the service that did not record its grants."""
    role = await repository.role_for_update(session, roles.MEMBER)
    assert role
    role.seeded = None
    role.created_at = role.updated_at = role.created_at - timedelta(days=1)
    await session.commit()
    if touched:
        await admin.client.patch(f"{ROLES}/{role.id}", json={"description": "Readers"})
        session.expire_all()

    await roles.seed(session, LATER)
    await session.commit()
    assert (await member.client.get(USERS)).status_code == (403 if touched else 200)

    await roles.seed(session, [*LATER, "notes:read"])
    await session.commit()
    assert "notes:read" in (await member_role(admin))["permissions"]


@pytest.fixture
def later_feature(committed_db: Database) -> list[Feature]:
    """Install one more feature, until just before the tables are emptied."""
    return [*FEATURES, Feature(member_permissions=(UserPermission.READ,))]


async def test_of_several_machines_that_start_at_once_one_gives(
    committed_db: Database,
    committed_admin: Account,
    settings: Settings,
    later_feature: list[Feature],
) -> None:
    await asyncio.gather(*(filled(settings, later_feature) for _ in range(4)))

    assert (await member_role(committed_admin))["permissions"] == LATER
    assert len(await changes(committed_admin)) == 1


async def test_seeding_waits_for_whoever_is_changing_the_role(
    committed_db: Database,
    committed_admin: Account,
    settings: Settings,
    later_feature: list[Feature],
) -> None:
    async with unit_of_work(committed_db) as session:
        role = await repository.role_for_update(session, roles.MEMBER)
        assert role
        role.permissions = ["roles:read"]
        await session.flush()
        seeding_now = asyncio.create_task(filled(settings, later_feature))
        done, _ = await asyncio.wait({seeding_now}, timeout=0.3)
        assert not done
    await seeding_now

    expected = ["roles:read", UserPermission.READ.value]
    assert (await member_role(committed_admin))["permissions"] == expected


async def test_a_new_member_has_what_was_given_later(
    committed_db: Database,
    committed_admin: Account,
    settings: Settings,
    later_feature: list[Feature],
) -> None:
    await filled(settings, later_feature)
    member = await make_account(
        committed_db, committed_admin.client, "member@example.com", "member"
    )

    assert (await member.client.get(USERS)).status_code == 200
