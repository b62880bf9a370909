"""Example rows."""

from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.sampling import Sampling
from app.core.tenancy import within
from app.features.tenants.models import Membership, Tenant, TenantRole
from app.features.users.models import User


async def sample(session: AsyncSession, sampling: Sampling) -> None:
    """Add a tenant, to which further rows belong: the first sample user owns it, the others are its members."""
    tenant_id = sampling.id(Tenant, 0)
    if 0 in sampling.numbers:
        await sampling.add(session, Tenant, lambda number, random: {"name": "Sample"}, [0])
        sampling.scope = partial(within, tenant_id)
    await sampling.add(
        session,
        Membership,
        lambda number, _: {
            "tenant_id": tenant_id,
            "user_id": sampling.id(User, number),
            "role": TenantRole.MEMBER if number else TenantRole.OWNER,
        },
    )
