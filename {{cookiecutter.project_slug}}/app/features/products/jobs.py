"""Background jobs."""

from datetime import datetime
from uuid import UUID

from app.core.jobs import HOUSEKEEPING, job
from app.core.jobs.outbox import enqueue
from app.core.jobs.purge import purge
from app.core.jobs.schedule import cron
from app.core.jobs.work import Work
from app.features import audit, cache
from app.features.products import repository
from app.features.products.models import Product
from app.features.products.settings import ProductSettings


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
    cache.invalidate(session, repository.STATISTICS_TAG)
    audit.record(session, "product.prices_changed", "product", None, after=change)
    if last is not None:
        await enqueue(
            session, change_prices, currency=currency, percent=percent, until=until, after=last
        )


@job("products.purge", queue=HOUSEKEEPING, schedule=cron("37 1 * * *"), each_customer=True)
async def purge_products(work: Work) -> None:
    """Delete products for good whose time to be restored is over, a batch at a time."""
    days = work.service.of(ProductSettings).deleted_days
    if await purge(work.session, Product, repository.outlived(days)):
        await enqueue(work.session, purge_products)
