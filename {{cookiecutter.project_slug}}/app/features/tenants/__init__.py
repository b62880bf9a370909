"""Tenants: customers whose rows are isolated from each other, and their members."""

from typing import TYPE_CHECKING

from app.core.db import tenancy
from app.core.db.migrations import Step
from app.core.db.tenancy.crossing import TenantsCrossed
from app.core.feature import Feature
from app.features.tenants.authentication import HEADER, narrow
from app.features.tenants.jobs import each_tenant, purge_tenant, purge_tenants
from app.features.tenants.listeners import listeners
from app.features.tenants.models import Invitation, Membership, Tenant
from app.features.tenants.permissions import OFFICE, PlatformPermission, TenantPermission
from app.features.tenants.router import router
from app.features.tenants.sample import sample
from app.features.tenants.service import acting_for
from app.features.tenants.settings import TenantSettings

if TYPE_CHECKING:
    from alembic.operations import ops
    from alembic.runtime.migration import MigrationContext


def make_first(migration: "MigrationContext", found: "ops.UpgradeOps") -> None:
    """Create the first tenant in the migration that adds tenants."""
    from app.features.tenants import adoption  # noqa: PLC0415, only what migrates imports Alembic

    adoption.make_first(migration, found)


feature = Feature(
    router=router,
    models=(Tenant, Membership, Invitation),
    migrations=(*tenancy.steps, Step(revise=make_first)),
    events=(TenantsCrossed,),
    listeners=listeners,
    jobs=(purge_tenants, purge_tenant),
    permissions=(TenantPermission, PlatformPermission),
    tenant_permissions=OFFICE,
    narrowing=(narrow,),
    headers=(HEADER,),
    refusals={404: "You are not a member of a tenant with this id"},
    customers=each_tenant,
    customer=("tenant", acting_for),
    settings=(TenantSettings,),
    sample=sample,
)
