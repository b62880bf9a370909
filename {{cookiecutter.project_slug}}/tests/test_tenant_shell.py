"""`app shell` acts in one tenant, or in none."""

from asyncio import to_thread
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from app.cli import cli
from app.core.db.session import Database
from app.core.db.tenancy.rows import OWNED
from app.core.settings import Settings
from app.features.tenants.failures import TenantNotFound
from app.installed import FEATURES
from conftest import Account
from tests.inline import opening

IDS = "sorted({str(each) for each in await session.scalars(select(Membership.tenant_id))})"


def run(settings: Settings, line: str, *options: str) -> str:
    """What the shell prints."""
    done = CliRunner().invoke(cli, ["shell", *options], input=f"{line}\n", obj=opening(settings))
    if done.exception:
        raise done.exception
    return done.output


async def test_the_shell_acts_in_the_tenant_that_was_chosen(
    committed_db: Database, committed_admin: Account, settings: Settings
) -> None:
    made = await committed_admin.client.post("/api/v1/tenants", json={"name": "Acme"})
    tenant_id = made.json()["tenant"]["id"]

    shown = await to_thread(run, settings, IDS, "--tenant", tenant_id)
    assert f"['{tenant_id}']" in shown
    assert f"for tenant {tenant_id}" in shown

    shown = await to_thread(run, settings, IDS)
    assert tenant_id in shown
    assert f"['{tenant_id}']" not in shown
    assert "choose one with --tenant" in shown


async def test_a_tenant_that_does_not_exist_is_refused(
    committed_db: Database, settings: Settings
) -> None:
    with pytest.raises(TenantNotFound):
        await to_thread(run, settings, "1", "--tenant", str(uuid4()))


async def test_without_a_tenant_rows_of_tenants_are_refused(
    committed_db: Database, settings: Settings
) -> None:
    models = [model for feature in FEATURES for model in feature.models]
    for name in (model.__name__ for model in models if model.__tablename__ in OWNED):
        shown = await to_thread(run, settings, f"await session.scalar(select({name}))")
        assert "belongs to tenants, and there is none at hand" in shown, name
