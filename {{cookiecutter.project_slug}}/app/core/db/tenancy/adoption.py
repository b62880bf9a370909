"""How migrations that `app db revision` generates add tenants to existing tables."""

from typing import TYPE_CHECKING

from app.core.db.migrations import Step

if TYPE_CHECKING:
    from alembic.operations import ops
    from alembic.runtime.migration import MigrationContext


def fill(migration: "MigrationContext", found: "ops.UpgradeOps") -> None:
    """Add the required `tenant_id` to tables that have rows."""
    from app.core.db.tenancy import columns  # noqa: PLC0415, only what migrates imports Alembic

    columns.fill(migration, found)


step = Step(revise=fill)
