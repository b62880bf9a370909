"""Background jobs."""

from datetime import datetime
from uuid import UUID

from app.core.jobs import job
from app.core.jobs.outbox import enqueue
from app.core.jobs.work import Work
from app.features import audit
from app.features.products import repository


@job("products.change_prices")
async def change_prices(
    work: Work, *, currency: str, percent: int, until: datetime, after: UUID | None = None
) -> None:
    """Change the prices of products created up to `until`, a batch at a time.

    A batch, its audit event and the job for the next batch are committed together: each price changes
    once, whatever fails and is retried.
    """
    session = work.session
    count, last = await repository.change_prices(session, currency, percent, until, after)
    change = {"currency": currency, "percent": percent, "count": count}
    audit.record(session, "product.prices_changed", "product", None, after=change)
    if last is not None:
        await enqueue(
            session, change_prices, currency=currency, percent=percent, until=until, after=last
        )
