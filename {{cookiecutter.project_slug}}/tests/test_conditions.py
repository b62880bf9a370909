"""No change overwrites another that its author has not seen, and no client reads again what it has."""

from asyncio import gather
from collections import Counter

import pytest
from httpx2 import ASGITransport, AsyncClient, Response
from sqlalchemy import select

from app.core.db import session as sessions
from app.core.db.errors import LostRace
from app.core.db.session import Database, unit_of_work
from app.core.db.versions import VersionRequired, require
from app.core.settings import Settings
from app.features.users.models import Role
from app.main import create_app
from conftest import Account

URL = "/api/v1/roles"


async def create(admin: Account) -> str:
    """A new role's URL."""
    new: dict[str, object] = {"name": "clerk", "permissions": []}
    return f"{URL}/{(await admin.client.post(URL, json=new)).json()['id']}"


async def change(admin: Account, url: str, description: str, tag: str | None = None) -> Response:
    """Change the description of the version that this tag names."""
    headers = {} if tag is None else {"If-Match": tag}
    return await admin.client.patch(url, json={"description": description}, headers=headers)


async def test_each_change_has_a_new_tag(admin: Account) -> None:
    url = await create(admin)
    first = await admin.client.get(url)
    changed = await change(admin, url, "one")
    second = await admin.client.get(url)

    assert (first.headers["ETag"], changed.headers["ETag"]) == ('"1"', '"2"')
    assert second.headers["ETag"] == '"2"'
    assert (first.json()["version"], second.json()["version"]) == (1, 2)
    assert first.headers["Cache-Control"] == "private, no-cache"


async def test_what_changes_nothing_keeps_the_tag(admin: Account) -> None:
    url = await create(admin)
    await change(admin, url, "one")

    assert (await change(admin, url, "one")).headers["ETag"] == '"2"'


@pytest.mark.parametrize(
    ("tags", "status"),
    [
        ('"1"', 304),
        ('W/"1"', 304),
        ('"7", "1"', 304),
        ('"2"', 200),
        ("1", 200),
        ("*", 200),
        ('"one"', 200),
        ("", 200),
        ('"' + "1" * 500 + '"', 200),
    ],
)
async def test_who_has_the_current_version_gets_no_body(
    admin: Account, tags: str, status: int
) -> None:
    url = await create(admin)

    for method in ("GET", "HEAD"):
        answer = await admin.client.request(method, url, headers={"If-None-Match": tags})
        assert answer.status_code == status
        assert answer.headers["ETag"] == '"1"'
        assert (answer.content == b"") == (method == "HEAD" or status == 304)


@pytest.mark.parametrize(
    ("tags", "status"),
    [
        (None, 200),
        ("*", 200),
        ('"2"', 200),
        ('"1", "2"', 200),
        ('"1"', 412),
        ('W/"2"', 412),
        ("2", 412),
        ("", 412),
        ('"3"', 412),
    ],
)
async def test_a_change_of_another_version_is_refused(
    admin: Account, tags: str | None, status: int
) -> None:
    url = await create(admin)
    await change(admin, url, "one")

    answer = await change(admin, url, "two", tags)

    assert answer.status_code == status
    if status == 412:
        assert answer.json()["type"] == "urn:problem-type:version-changed"
        assert answer.json()["version"] == 2
    found = (await admin.client.get(url)).json()
    assert found["description"] == ("two" if status == 200 else "one")


async def test_a_deletion_of_another_version_is_refused(admin: Account) -> None:
    url = await create(admin)
    await change(admin, url, "one")

    stale = await admin.client.delete(url, headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    assert (await admin.client.get(url)).status_code == 200
    current = await admin.client.delete(url, headers={"If-Match": '"2"'})
    assert current.status_code == 204


async def test_of_many_changes_of_one_version_one_is_made(committed_admin: Account) -> None:
    url = await create(committed_admin)

    answers = await gather(*(change(committed_admin, url, f"{n}", '"1"') for n in range(20)))

    assert Counter(answer.status_code for answer in answers) == {200: 1, 412: 19}
    made = next(answer for answer in answers if answer.status_code == 200)
    found = (await committed_admin.client.get(url)).json()
    assert (found["version"], found["description"]) == (2, made.json()["description"])


async def test_a_row_that_was_not_locked_is_not_overwritten(
    committed_admin: Account, committed_db: Database
) -> None:
    url = await create(committed_admin)

    async def overwrite() -> None:
        async with unit_of_work(committed_db) as session:
            role = (await session.scalars(select(Role).where(Role.name == "clerk"))).one()
            await session.commit()  # it is locked no longer, where it was
            assert (await change(committed_admin, url, "one")).status_code == 200
            role.description = "two"

    with pytest.raises(LostRace):
        await overwrite()
    assert (await committed_admin.client.get(url)).json()["description"] == "one"


def test_a_change_can_be_required_to_name_its_version() -> None:
    require(Role(version=1), [1], always=True)
    with pytest.raises(VersionRequired):
        require(Role(version=1), None, always=True)


async def test_a_change_that_is_not_committed_shows_no_tag(
    admin: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await create(admin)

    async def lose(*_: object) -> None:
        raise LostRace

    monkeypatch.setattr(sessions, "commit", lose)
    lost = await change(admin, url, "one")

    assert lost.status_code == 409
    assert "ETag" not in lost.headers
    assert lost.headers["Cache-Control"] == "no-store"


async def test_pages_of_other_origins_may_send_conditions_and_keys(settings: Settings) -> None:
    origin = "https://shop.example.com"
    app = create_app(settings.model_copy(update={"cors_origins": [origin]}))
    asked = ["If-Match", "If-None-Match", "Idempotency-Key"]
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        preflight = {
            "Origin": origin,
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": ", ".join(asked),
        }
        answer = await client.options(URL, headers=preflight)

    assert answer.status_code == 200, answer.text
    allowed = answer.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {each.lower() for each in asked} <= {*allowed}
