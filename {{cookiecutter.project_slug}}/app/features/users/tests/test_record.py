"""Each change of accounts and roles is on record, once."""

from app.core.db.session import Database
from app.core.settings import Settings
from app.features.users.cli import make_admin
from conftest import PASSWORD, Account
from tests.inline import in_service
from tests.trail import Trail

USERS, ROLES = "/api/v1/users", "/api/v1/roles"


async def test_what_administrators_do_is_on_record(
    admin: Account, member: Account, database: Database
) -> None:
    client, url = admin.client, f"{USERS}/{member.id}"
    trail = Trail(database, "role", "user")
    await trail.new()

    role = (await client.post(ROLES, json={"name": "support", "permissions": []})).json()
    assert await trail.new() == ["role.created"]
    await client.patch(f"{ROLES}/{role['id']}", json={"description": "Answers questions."})
    assert await trail.new() == ["role.changed"]
    await client.put(f"{url}/roles", json={"roles": ["member", "support"]})
    assert await trail.new() == ["user.roles_assigned"]
    await client.put(f"{url}/roles", json={"roles": ["member"]})
    assert await trail.new() == ["user.roles_assigned"]
    await client.delete(f"{ROLES}/{role['id']}")
    assert await trail.new() == ["role.deleted"]

    await member.client.patch(f"{USERS}/me", json={"full_name": "Ada"})
    assert await trail.new() == ["user.changed"]
    await client.patch(url, json={"is_active": False})
    assert await trail.new() == ["user.changed"]
    await client.delete(url)
    assert await trail.new() == ["user.deleted"]


async def test_who_is_made_an_administrator_is_on_record(
    committed_db: Database, settings: Settings
) -> None:
    trail = Trail(committed_db, "user")
    await trail.new()

    for expected in (["user.created", "user.made_admin"], ["user.made_admin"]):
        await in_service(settings, lambda service: make_admin(service, "a@example.com", PASSWORD))

        assert await trail.new() == expected
