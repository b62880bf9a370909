from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.db.session import Database
from app.core.db.tenancy.rows import OWNED
from app.core.settings import Settings
from app.features.tenants.models import Tenant
from app.features.users.models import User
from tests.samples import everything, fill


async def test_sample_rows_are_in_a_tenant_that_the_first_sample_user_owns(
    committed_db: Database, settings: Settings, owner: AsyncEngine
) -> None:
    done = await fill(settings, 12)
    rows = await everything(owner)

    (tenant,) = rows["tenants"].values()
    assert tenant["id"] == done.id(Tenant, 0)
    roles = {row["user_id"]: row["role"] for row in rows["memberships"].values()}
    expected = {done.id(User, number): "member" for number in range(12)}
    assert roles == expected | {done.id(User, 0): "owner"}
    found = [row["tenant_id"] for table in OWNED for row in rows.get(table, {}).values()]
    assert set(found) <= {tenant["id"]}
