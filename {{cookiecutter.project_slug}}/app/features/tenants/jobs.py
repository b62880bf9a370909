"""Background jobs."""

from contextlib import AbstractContextManager

from sqlalchemy import delete, true
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import Base, utc_now
from app.core.db.resource import Resource
from app.core.jobs import HOUSEKEEPING, job
from app.core.jobs.models import JobRun, JobState
from app.core.jobs.outbox import enqueue
from app.core.jobs.purge import purge
from app.core.jobs.schedule import cron
from app.core.jobs.work import Work
from app.core.tenancy import current, within
from app.features import audit
from app.features.tenants import repository
from app.features.tenants.models import Invitation, Membership, Tenant
from app.features.tenants.service import grace_ends


@job("tenants.purge", queue=HOUSEKEEPING, schedule=cron("47 1 * * *"))
async def purge_tenants(work: Work) -> None:
    """Delete expired invitations, and enqueue the purge of tenants whose grace period has ended."""
    if await purge(work.session, Invitation, Invitation.expires_at < utc_now()):
        await enqueue(work.session, purge_tenants)
    for tenant_id in await repository.deleted_before(work.session, grace_ends(work.session)):
        with within(tenant_id):
            await enqueue(work.session, purge_tenant)


@job("tenants.purge_one", queue=HOUSEKEEPING)
async def purge_tenant(work: Work) -> None:
    """Delete everything of the tenant that this job belongs to, a batch at a time.

    The audit log keeps its events for their own retention period.
    """
    tenant_id = current()
    tenant = await repository.lock(work.session, tenant_id) if tenant_id else None
    if tenant is None or tenant.deleted_at is None or tenant.deleted_at > grace_ends(work.session):
        return
    # Members first: even if another process is configured with a longer grace period, no owner can then
    # restore a half-purged tenant.
    await work.session.execute(delete(Membership).where(Membership.tenant_id == tenant.id))
    for model, condition in [
        *((owned, true()) for owned in owned_models()),
        (JobRun, JobRun.state != JobState.RUNNING),
    ]:
        if await purge(work.session, model, condition):
            await enqueue(work.session, purge_tenant)
            return
    audit.record(work.session, "tenant.purged", "tenant", tenant.id, before={"name": tenant.name})
    await work.session.flush()
    await work.session.execute(delete(Tenant).where(Tenant.id == tenant.id))


def owned_models() -> list[type[Base]]:
    """The models of a tenant's rows, referencing tables first."""
    models = {
        mapper.local_table: mapper.class_
        for mapper in Base.registry.mappers
        if mapper is mapper.base_mapper and issubclass(mapper.class_, Resource)
    }
    return [models[table] for table in reversed(Base.metadata.sorted_tables) if table in models]


async def each_tenant(session: AsyncSession) -> list[AbstractContextManager[None]]:
    """What to act within, for every tenant that is open to its members."""
    return [within(tenant_id) for tenant_id in await repository.open_ids(session)]
