"""What happens after the response."""

from datetime import datetime
from uuid import UUID

from app.core.jobs import job
from app.core.jobs.outbox import enqueue
from app.core.jobs.work import Work
from app.features.audit.service import record
from app.features.products import repository


@job("products.change_prices")
async def change_prices(
    work: Work, *, currency: str, percent: int, until: datetime, after: UUID | None = None
) -> None:
    """Change the prices of what there was at that time, a batch at a time.

    A batch, its record and the job for the next one are committed together: each price changes once,
    whatever fails and is tried again.
    """
    session = work.session
    count, last = await repository.change_prices(session, currency, percent, until, after)
    change = {"currency": currency, "percent": percent, "count": count}
    record(session, "product.prices_changed", "product", None, after=change)
    if last is not None:
        await enqueue(
            session, change_prices, currency=currency, percent=percent, until=until, after=last
        )
