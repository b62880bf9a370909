"""Setting a session's tenant in PostgreSQL, whose policies are the second line of defence."""

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
    """Sets its tenant at the start of each transaction, and for that transaction only."""

    def get_bind(self, *args: Any, **options: Any) -> Engine | Connection:  # noqa: ANN401
        """Reads in a tenant run in a transaction too: the setting is local to it."""
        bind = super().get_bind(*args, **options)
        if self.scope is None or bind.dialect.name != BACKEND or isinstance(bind, Connection):
            return bind
        return self.info[ENGINE]


@event.listens_for(PolicySession, "after_begin")
def say(session: PolicySession, transaction: SessionTransaction, connection: Connection) -> None:
    """Set the tenant; without one only if another session may have set it in this transaction."""
    shared = connection.in_nested_transaction()
    if connection.dialect.name == BACKEND and (session.scope is not None or shared):
        connection.execute(SET, {"value": setting(session.scope)})


def setting(scope: Scope) -> str:
    """A scope as the policies read it."""
    return EVERY if isinstance(scope, AllTenants) else str(scope or "")
