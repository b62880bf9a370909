"""Rows of tenants, and the sessions that see those of one tenant."""

from typing import Any

from sqlalchemy import Engine

from app.core.db.tenancy import gate
from app.core.db.tenancy.rows import TenantOwned, TenantTagged
from app.core.db.tenancy.sessions import TenantSession

__all__ = ["TenantOwned", "TenantTagged", "session_options"]


def session_options(engine: Engine) -> dict[str, Any]:
    """Have sessions over this engine see the rows of one tenant, and every statement judged."""
    gate.watch(engine)
    return {"sync_session_class": TenantSession}
