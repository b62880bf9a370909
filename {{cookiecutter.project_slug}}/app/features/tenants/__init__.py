"""Tenants: customers whose rows are isolated from each other, and their members."""

from app.core.feature import Feature
from app.features.tenants.authentication import authenticate
from app.features.tenants.jobs import purge_tenant, purge_tenants
from app.features.tenants.listeners import listeners
from app.features.tenants.models import Invitation, Membership, Tenant
from app.features.tenants.permissions import PlatformPermission, TenantPermission
from app.features.tenants.router import router
from app.features.tenants.settings import TenantSettings

feature = Feature(
    router=router,
    models=(Tenant, Membership, Invitation),
    listeners=listeners,
    jobs=(purge_tenants, purge_tenant),
    permissions=(TenantPermission, PlatformPermission),
    authenticate=authenticate,
    settings=(TenantSettings,),
)
