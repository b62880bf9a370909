"""Statements that are built once, and read the rows of one tenant."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, TypeVarTuple

from sqlalchemy import Select, Uuid, bindparam
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import with_loader_criteria

from app.core.db.prepared import REMEMBERED, Prepared, Reads
from app.core.db.tenancy import gate
from app.core.db.tenancy.rows import Tenancy
from app.core.db.tenancy.sessions import TENANT
from app.core.tenancy import AllTenants, scope

Ts = TypeVarTuple("Ts")

CURRENT = bindparam(TENANT, type_=Uuid())
"""The current tenant, in a statement that is built once."""


@lru_cache(maxsize=REMEMBERED)
def narrowed(statement: Select[*Ts]) -> Select[*Ts]:
    """The statement with the filter that sessions apply, on a bind parameter; built once too."""
    own = with_loader_criteria(Tenancy, lambda row: row.tenant_id == CURRENT, include_aliases=True)
    return statement.options(own)


class TenantReads(Reads):
    """Filters statements by the current tenant, and checks each as the gate does at a cursor."""

    own_listeners = 1  # the gate's

    def within(
        self, statement: Select[*Ts], values: Mapping[str, Any]
    ) -> tuple[Select[*Ts], Mapping[str, Any]]:
        """The statement and its values, in the current tenant."""
        tenant_id = scope.get()
        if isinstance(tenant_id, AllTenants):
            raise gate.TenancyError("read the rows of all tenants in a session")
        if tenant_id is None:
            return statement, values
        return narrowed(statement), {**values, TENANT: tenant_id}

    def check(self, prepared: Prepared[*tuple[Any, ...]], arguments: tuple[Any, ...]) -> None:
        """Refuse a statement that is not confined to the current tenant."""
        verdict = gate.judge(prepared.sql, self.dialect.name, self.dialect.paramstyle)
        gate.confine(verdict, scope.get(), [arguments])

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[AsyncConnection]:
        """A connection in the current tenant, on which SQLAlchemy executes statements."""
        async with super().connection() as connection:
            found = await connection.get_raw_connection()
            found.info[gate.SCOPE] = scope.get()
            yield connection
