"""Background jobs."""

from app.core.jobs import job
from app.core.jobs.outbox import enqueue
from app.core.jobs.schedule import every
from app.core.jobs.work import Work
from app.features.orders import service


@job("orders.expire", schedule=every(minutes=5), each_customer=True)
async def expire_unpaid(work: Work) -> None:
    """Cancel orders that were not paid in time, a batch at a time."""
    if await service.expire(work.session):
        await enqueue(work.session, expire_unpaid)
