"""Policies: PostgreSQL itself restricts a session to the rows of its tenant."""

import re
from collections.abc import Collection, Iterator

from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import DBAPICursor

from app.core.db.dialects.access import Access
from app.core.db.migrations import Step
from app.core.db.tenancy.rows import OWNED, TAGGED

# Evaluated once per statement, not per row. On a pooled connection it is '' after a transaction
# that set it, and NULL before.
SETTING = "(SELECT coalesce(current_setting('app.tenant_id', true), ''))"
SAME = (
    "tenant_id = (SELECT nullif(nullif(current_setting('app.tenant_id', true), ''), 'all')::uuid)"
)
CONDITIONS = {
    "owned": f"{SAME} OR {SETTING} = 'all'",
    "tagged": f"{SAME} OR {SETTING} IN ('', 'all')",
}


def enforce(connection: Connection, access: Access) -> None:
    """Recreate the policies."""
    if connection.dialect.name == "postgresql":
        for statement in statements(access.tables):
            connection.exec_driver_sql(statement)


def statements(tables: Collection[str]) -> Iterator[str]:
    """Recreate the policies of these tables; after each migration, so that no table lacks one.

    Without `FORCE` they would not apply to the owner.
    """
    for kind, names in (("owned", OWNED), ("tagged", TAGGED)):
        for name in sorted(names.intersection(tables)):
            yield f'ALTER TABLE "{name}" ENABLE ROW LEVEL SECURITY'
            yield f'ALTER TABLE "{name}" FORCE ROW LEVEL SECURITY'
            yield f'DROP POLICY IF EXISTS tenant ON "{name}"'
            yield f'CREATE POLICY tenant ON "{name}" USING ({CONDITIONS[kind]})'


def lift(connection: Connection) -> None:
    """Let a migration access every row, and drop a column that a policy depends on."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET app.tenant_id = 'all'")
        event.listen(connection, "before_cursor_execute", release)


def release(connection: Connection, cursor: DBAPICursor, statement: str, *_: object) -> None:
    """Drop the policy before its column."""
    if found := re.match(r'ALTER TABLE "?(\w+)"? DROP COLUMN tenant_id', statement):
        cursor.execute(f'DROP POLICY IF EXISTS tenant ON "{found[1]}"')


step = Step(before=lift, after=enforce)
