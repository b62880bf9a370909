"""Tables that belonged to nobody get tenants: migrations written by `app db revision`.

A column `tenant_id` cannot be added empty to rows that are there. So it is added, filled with the id of
the first tenant, and only then required.
"""

from collections.abc import Callable, Iterator
from typing import Any, cast

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Uuid

from app.core.db.migrations import Step
from app.core.db.tenancy.rows import TENANTS

FIRST = f"(SELECT id FROM {TENANTS} ORDER BY created_at, id LIMIT 1)"  # noqa: S608, our own name


def fill(migration: MigrationContext, found: ops.UpgradeOps) -> None:
    """Columns that no row may lack are added, filled, and only then required."""
    quote = migration.dialect.identifier_preparer.quote
    found.ops = [new for old in found.ops for new in rewritten(old, quote)]


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


step = Step(revise=fill)
