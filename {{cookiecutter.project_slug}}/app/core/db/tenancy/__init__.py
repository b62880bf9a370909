"""Rows of tenants, and the sessions that see those of one tenant."""

from app.core.db.tenancy.gate import watch
from app.core.db.tenancy.rows import TenantOwned, TenantTagged
from app.core.db.tenancy.sessions import TenantSession

__all__ = ["TenantOwned", "TenantSession", "TenantTagged", "watch"]
