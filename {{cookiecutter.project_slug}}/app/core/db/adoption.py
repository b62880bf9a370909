"""Migrations that give rows to a tenant which had none before: written by `app db revision`.

A column `tenant_id` cannot be added empty to rows that are there. So it is added, filled with the id of
the first tenant, and only then required; and where the revision creates the tenants themselves, it
creates the first one, with everybody as its member.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast
from uuid import uuid4

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Uuid

FIRST = "(SELECT id FROM tenants ORDER BY created_at, id LIMIT 1)"
TENANT = """\
INSERT INTO tenants (id, created_at, updated_at, name)
SELECT '[id]', COALESCE(MIN(created_at), CURRENT_TIMESTAMP), COALESCE(MIN(created_at), CURRENT_TIMESTAMP), 'Main'
FROM users"""
# Administrators own it; where there are none, whoever came first. Each row takes over the id of its user.
MEMBERS = """\
INSERT INTO memberships (id, created_at, updated_at, tenant_id, user_id, role)
SELECT users.id, users.created_at, users.created_at, '[id]', users.id,
    CASE WHEN users.id IN (SELECT user_id FROM user_roles WHERE role_id IN ([admin])) THEN 'owner'
    WHEN NOT EXISTS (SELECT 1 FROM user_roles WHERE role_id IN ([admin]))
        AND users.id = (SELECT first.id FROM users AS first ORDER BY first.created_at, first.id LIMIT 1)
    THEN 'owner' ELSE 'member' END
FROM users""".replace("[admin]", "SELECT id FROM roles WHERE name = 'admin'")


def adopt(context: MigrationContext, revision: object, directives: Sequence[object]) -> None:
    """Rewrite what autogenerate has found; for `process_revision_directives`."""
    for script in directives:
        found = cast("ops.MigrationScript", script).upgrade_ops
        if found is not None:
            quote = context.dialect.identifier_preparer.quote
            found.ops = [new for old in found.ops for new in rewritten(old, quote)]
            if creates_tenants(found.ops):
                place = after_new_tables(found.ops)
                found.ops[place:place] = first_tenant()


def creates_tenants(operations: Sequence[ops.MigrateOperation]) -> bool:
    """Whether tenants begin to exist here, in a database that has users already."""
    made = {each.table_name for each in operations if isinstance(each, ops.CreateTableOp)}
    return "tenants" in made and "users" not in made


def after_new_tables(operations: Sequence[ops.MigrateOperation]) -> int:
    """The place behind the last table that is made."""
    made = [i for i, each in enumerate(operations) if isinstance(each, ops.CreateTableOp)]
    return made[-1] + 1


def first_tenant() -> list[ops.MigrateOperation]:
    """The tenant that gets everything."""
    tenant_id = uuid4().hex  # as every database stores or reads it
    return [ops.ExecuteSQLOp(text.replace("[id]", tenant_id)) for text in (TENANT, MEMBERS)]


def rewritten(
    operation: ops.MigrateOperation, quote: Callable[[str], str]
) -> Iterator[ops.MigrateOperation]:
    """The same, in an order in which it can be done to a table that has rows."""
    if not isinstance(operation, ops.ModifyTableOps):
        yield operation
        return
    added = [each for each in operation.ops if adds_tenant(each)]
    if not added:
        yield operation
        return
    name, schema = operation.table_name, operation.schema
    for each in added:
        cast("ops.AddColumnOp", each).column.nullable = True
    required: Any = ops.AlterColumnOp(
        name, "tenant_id", existing_type=Uuid(), modify_nullable=False, schema=schema
    )
    rest = [each for each in operation.ops if each not in added]
    yield ops.ModifyTableOps(name, added, schema=schema)
    yield ops.ExecuteSQLOp(f"UPDATE {quote(name)} SET tenant_id = {FIRST}")  # noqa: S608, our own names
    yield ops.ModifyTableOps(name, [required, *rest], schema=schema)


def adds_tenant(operation: ops.MigrateOperation) -> bool:
    """Whether it adds a `tenant_id` that no row may lack."""
    return (
        isinstance(operation, ops.AddColumnOp)
        and operation.column.name == "tenant_id"
        and not operation.column.nullable
    )
