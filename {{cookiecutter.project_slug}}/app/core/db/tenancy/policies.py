"""Policies: in PostgreSQL itself, nobody sees the rows of a tenant for whom they do not work."""

import re
from collections.abc import Collection, Iterator

from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import DBAPICursor

from app.core.db.dialects.access import Access
from app.core.db.migrations import Step
from app.core.db.tenancy.rows import OWNED, TAGGED

# Asked once for each statement, not for each row. A pooled connection answers '' after a
# transaction that had set it, and NULL before.
SETTING = "(SELECT coalesce(current_setting('app.tenant_id', true), ''))"
SAME = (
    "tenant_id = (SELECT nullif(nullif(current_setting('app.tenant_id', true), ''), 'all')::uuid)"
)
CONDITIONS = {
    "owned": f"{SAME} OR {SETTING} = 'all'",
    "tagged": f"{SAME} OR {SETTING} IN ('', 'all')",
}


def enforce(connection: Connection, access: Access) -> None:
    """Write them anew."""
    if connection.dialect.name == "postgresql":
        for statement in statements(access.tables):
            connection.exec_driver_sql(statement)


def statements(tables: Collection[str]) -> Iterator[str]:
    """Write the policies of these tables anew; after each migration, so that no table misses one.

    Without `FORCE` they would not bind the owner.
    """
    for kind, names in (("owned", OWNED), ("tagged", TAGGED)):
        for name in sorted(names.intersection(tables)):
            yield f'ALTER TABLE "{name}" ENABLE ROW LEVEL SECURITY'
            yield f'ALTER TABLE "{name}" FORCE ROW LEVEL SECURITY'
            yield f'DROP POLICY IF EXISTS tenant ON "{name}"'
            yield f'CREATE POLICY tenant ON "{name}" USING ({CONDITIONS[kind]})'


def lift(connection: Connection) -> None:
    """Let a migration reach every row, and take the column away that a policy is about."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET app.tenant_id = 'all'")
        event.listen(connection, "before_cursor_execute", release)


def release(connection: Connection, cursor: DBAPICursor, statement: str, *_: object) -> None:
    """Drop the policy first."""
    if found := re.match(r'ALTER TABLE "?(\w+)"? DROP COLUMN tenant_id', statement):
        cursor.execute(f'DROP POLICY IF EXISTS tenant ON "{found[1]}"')


step = Step(before=lift, after=enforce)
