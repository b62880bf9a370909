"""Rows of tenants, and the sessions that see those of one tenant."""

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.db.dialects import Fetch
from app.core.db.migrations import Step
from app.core.db.prepared import Reads
from app.core.db.tenancy import (
    adoption,
    gate,
    # {% if cookiecutter.database == "postgresql" %}
    policies,
    wall,
    # {% endif %}
)
from app.core.db.tenancy.reads import TenantReads
from app.core.db.tenancy.rows import TenantOwned, TenantTagged
from app.core.db.tenancy.sessions import TenantSession

__all__ = ["TenantOwned", "TenantTagged", "reads", "session_options", "steps"]

steps: list[Step] = [adoption.step]
# {% if cookiecutter.database == "postgresql" %}
steps.append(policies.step)
# {% endif %}


def session_options(engine: Engine) -> dict[str, Any]:
    """Restrict sessions on this engine to the rows of one tenant, and check every statement."""
    gate.watch(engine)
    options: dict[str, Any] = {"sync_session_class": TenantSession}
    # {% if cookiecutter.database == "postgresql" %}
    wall.watch(engine)
    options["sync_session_class"] = wall.PolicySession
    # {% endif %}
    return options


def reads(engine: AsyncEngine, fetch: Fetch | None) -> Reads:
    """Executes statements that were built once, on the rows of one tenant."""
    kind = TenantReads
    # {% if cookiecutter.database == "postgresql" %}
    kind = wall.PolicyReads
    # {% endif %}
    return kind(engine, fetch)
