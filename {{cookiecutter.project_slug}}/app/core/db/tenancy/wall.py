"""Telling PostgreSQL, whose policies are the second wall, for whom a session works."""

from typing import Any

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.orm import SessionTransaction

from app.core.db.carried import ENGINE
from app.core.db.tenancy.sessions import TenantSession
from app.core.tenancy import AllTenants, Scope

BACKEND = "postgresql"
EVERY = "all"
SET = text("SELECT set_config('app.tenant_id', :value, true)")


class PolicySession(TenantSession):
    """Says for whom it works at the beginning of each transaction, and for its length only."""

    def get_bind(self, *args: Any, **options: Any) -> Engine | Connection:  # noqa: ANN401
        """Reads for a tenant run in a transaction too: what is said is local to it."""
        bind = super().get_bind(*args, **options)
        if self.scope is None or bind.dialect.name != BACKEND or isinstance(bind, Connection):
            return bind
        return self.info[ENGINE]


@event.listens_for(PolicySession, "after_begin")
def say(session: PolicySession, transaction: SessionTransaction, connection: Connection) -> None:
    """Without a tenant only where another session may have said something in the same transaction."""
    shared = connection.in_nested_transaction()
    if connection.dialect.name == BACKEND and (session.scope is not None or shared):
        connection.execute(SET, {"value": setting(session.scope)})


def setting(scope: Scope) -> str:
    """A scope as the policies know it."""
    return EVERY if isinstance(scope, AllTenants) else str(scope or "")
