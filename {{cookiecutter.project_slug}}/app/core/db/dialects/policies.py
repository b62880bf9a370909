"""Policies: in PostgreSQL itself, nobody sees the rows of a tenant for whom they do not work."""

from collections.abc import Collection, Iterator

from sqlalchemy import Connection

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
    """Let a migration reach every row."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET app.tenant_id = 'all'")
