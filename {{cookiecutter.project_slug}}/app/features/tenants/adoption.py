"""When tenants are added to a database with users, the first tenant gets them all as members."""

from collections.abc import Sequence
from uuid import uuid4

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext

TENANT = """\
INSERT INTO tenants (id, created_at, updated_at, name)
SELECT '[id]', COALESCE(MIN(created_at), CURRENT_TIMESTAMP), COALESCE(MIN(created_at), CURRENT_TIMESTAMP), 'Main'
FROM users"""
# Administrators own it; without any, the first user does. Each row takes the id of its user.
MEMBERS = """\
INSERT INTO memberships (id, created_at, updated_at, tenant_id, user_id, role)
SELECT users.id, users.created_at, users.created_at, '[id]', users.id,
    CASE WHEN users.id IN (SELECT user_id FROM user_roles WHERE role_id IN ([admin])) THEN 'owner'
    WHEN NOT EXISTS (SELECT 1 FROM user_roles WHERE role_id IN ([admin]))
        AND users.id = (SELECT first.id FROM users AS first ORDER BY first.created_at, first.id LIMIT 1)
    THEN 'owner' ELSE 'member' END
FROM users""".replace("[admin]", "SELECT id FROM roles WHERE name = 'admin'")


def make_first(migration: MigrationContext, found: ops.UpgradeOps) -> None:
    """Create the first tenant in the migration that adds tenants."""
    if creates_tenants(found.ops):
        place = after_new_tables(found.ops)
        found.ops[place:place] = first_tenant()


def creates_tenants(operations: Sequence[ops.MigrateOperation]) -> bool:
    """Whether this migration adds tenants to a database that already has users."""
    made = {each.table_name for each in operations if isinstance(each, ops.CreateTableOp)}
    return "tenants" in made and "users" not in made


def after_new_tables(operations: Sequence[ops.MigrateOperation]) -> int:
    """The position after the last table that is created."""
    made = [i for i, each in enumerate(operations) if isinstance(each, ops.CreateTableOp)]
    return made[-1] + 1


def first_tenant() -> list[ops.MigrateOperation]:
    """Statements that create the first tenant and its memberships."""
    tenant_id = uuid4().hex  # a form that every database stores or accepts
    return [ops.ExecuteSQLOp(text.replace("[id]", tenant_id)) for text in (TENANT, MEMBERS)]
