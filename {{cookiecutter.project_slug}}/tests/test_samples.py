"""`app db sample`: the same example rows for the same seed, in development only."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from asyncio import to_thread
from collections.abc import Callable
from pathlib import Path

import pytest
from httpx2 import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.db.session import Database
from app.core.sampling import BATCH
from app.core.settings import Settings
from app.features.users.cli import make_admin
from app.features.users.models import User
from app.tools import sample
from conftest import PASSWORD
from tests.inline import in_service
from tests.samples import count_users, counted, empty, everything, fill, without
from tests.test_settings import FIT

pytestmark = pytest.mark.timeout(120)

# What a shell starts in the background ignores interrupts, and so do its children.
INTERRUPTIBLE = """
import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
from app.__main__ import main

main()
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(committed_db: Database, settings: Settings, project_root: Path) -> Start:
    """Start the command on the database of the tests, or with other settings."""
    assert settings.database_url
    url = settings.database_url.render_as_string(hide_password=False)

    def run(*arguments: str, **environment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", INTERRUPTIBLE, "db", "sample", *arguments],
            env=os.environ | {"ENVIRONMENT": "test", "DATABASE_URL": url} | environment,
            cwd=project_root,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    return run


@pytest.mark.slow
async def test_the_command_fills_the_tables_and_continues_later(
    start: Start, owner: AsyncEngine
) -> None:
    before = await everything(owner)
    printed, log = await to_thread(start("--rows", "25").communicate)
    first = without(await everything(owner), before)

    assert "Traceback" not in log
    for table in ("users", "user_roles"):
        assert f"{table}: 25 rows added\n" in printed
    for table, count in counted(first).items():
        assert f"{table}: {count} rows added\n" in printed

    printed, _ = await to_thread(start("--rows", "25").communicate)
    assert "users: 0 rows added, 25 existed\n" in printed
    assert without(await everything(owner), before) == first

    printed, _ = await to_thread(start("--rows", "30").communicate)
    assert "users: 5 rows added, 25 existed\n" in printed
    more = without(await everything(owner), before)
    assert counted(more)["users"] == counted(more)["user_roles"] == 30
    assert {name: more[name] | rows for name, rows in first.items()} == more


async def test_the_same_seed_gives_the_same_rows(
    committed_db: Database,
    settings: Settings,
    owner: AsyncEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = await everything(owner)
    await fill(settings, 25, seed=7)
    first = without(await everything(owner), before)
    await empty(owner, first)
    assert await everything(owner) == before

    monkeypatch.setattr(sample, "BATCH", 10)
    await fill(settings, 25, seed=7)
    assert without(await everything(owner), before) == first

    await fill(settings, 25, seed=8)
    other = without(without(await everything(owner), before), first)
    assert counted(other)["users"] == 25
    values = [{row["email"] for row in rows["users"].values()} for rows in (first, other)]
    assert values[0].isdisjoint(values[1])


async def test_two_commands_at_once_add_each_row_once(
    committed_db: Database,
    settings: Settings,
    owner: AsyncEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sample, "BATCH", 10)
    before = await everything(owner)

    first, second = await asyncio.gather(fill(settings, 40), fill(settings, 40))

    added = without(await everything(owner), before)
    assert first.added + second.added == counted(added)
    assert counted(added)["users"] == 40


async def test_a_row_that_was_deleted_comes_back_with_what_belongs_to_it(
    committed_db: Database, settings: Settings, owner: AsyncEngine
) -> None:
    done = await fill(settings, 3)
    first = await everything(owner)
    lost = first["users"][str(done.id(User, 2))]
    changed = text("UPDATE users SET full_name = 'Changed' WHERE email LIKE 'sample0.%'")
    async with owner.connect() as connection:
        await connection.execute(text("DELETE FROM users WHERE email = :email"), lost)
        await connection.execute(changed)

    await fill(settings, 3)

    again = await everything(owner)
    assert counted(again) == counted(first)
    assert again["users"][str(lost["id"])] == lost
    assert again["users"][str(done.id(User, 0))]["full_name"] == "Changed"


async def test_sample_users_cannot_sign_in_until_an_operator_gives_them_a_password(
    committed_client: AsyncClient, settings: Settings, owner: AsyncEngine
) -> None:
    await fill(settings, 2)
    rows = (await everything(owner))["users"].values()
    (email,) = [row["email"] for row in rows if row["email"].startswith("sample1.")]

    for password in ("", "!", "*", "sample", "password", email):
        form = {"username": email, "password": password}
        response = await committed_client.post("/api/v1/auth/login", data=form)
        assert response.status_code in {401, 422}, password

    await in_service(settings, lambda service: make_admin(service, email, PASSWORD))
    form = {"username": email, "password": PASSWORD}
    assert (await committed_client.post("/api/v1/auth/login", data=form)).status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("environment", ["staging", "production"])
async def test_it_is_refused_where_the_service_is_deployed(
    start: Start, owner: AsyncEngine, environment: str
) -> None:
    before = await everything(owner)

    command = start(**(FIT | {"ENVIRONMENT": environment}))
    _, log = await to_thread(command.communicate)

    assert command.returncode == 1
    assert f"error: example data is for development, and ENVIRONMENT is {environment}\n" in log
    assert await everything(owner) == before


@pytest.mark.slow
async def test_an_interrupted_command_leaves_whole_batches_which_the_next_one_completes(
    start: Start, owner: AsyncEngine
) -> None:
    before, wanted = await everything(owner), 4 * BATCH
    command = start("--rows", str(wanted))
    until = time.monotonic() + 60
    while not await count_users(owner) and time.monotonic() < until:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    command.send_signal(signal.SIGINT)
    printed, log = await to_thread(command.communicate)

    assert command.returncode != 0
    assert "Traceback" not in log
    assert "added" not in printed
    left = without(await everything(owner), before)
    users = counted(left)["users"]
    assert users in range(BATCH, wanted + 1, BATCH)
    assert counted(left)["user_roles"] == users

    printed, _ = await to_thread(start("--rows", str(wanted)).communicate)
    assert f"users: {wanted - users} rows added, {users} existed\n" in printed
    assert counted(without(await everything(owner), before))["user_roles"] == wanted
