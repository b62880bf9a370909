"""The brokers configured for tests, and how to clean up on them."""

import os
from datetime import timedelta
from typing import Any

from celery import Celery
from redis import Redis
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.jobs.celery import CelerySettings, store
from app.core.jobs.celery.application import is_redis
from tests.backlogs import ACTS, urgent

BROKERS = {"redis": "TEST_REDIS_URL", "rabbitmq": "TEST_AMQP_URL"}
URLS = {name: os.environ.get(name) for name in BROKERS.values()}
PATIENCE = timedelta(minutes=1)


async def tell(session: AsyncSession) -> None:
    """Find the jobs of which no worker was notified, and mark them as notified."""
    assert await store.neglected_names(session, [urgent.name], PATIENCE) == [urgent.name]
    assert len(await store.mark_nudged(session, [urgent.name], PATIENCE, 500)) == 1


ACTS.append(tell)


def clean(celery: Celery, url: str, ours: CelerySettings) -> None:
    """Leave nothing behind on the broker."""
    names = [queue.name for queue in celery.conf.task_queues]
    with celery.connection_for_write() as connection:
        channel: Any = connection.default_channel
        for name in names:
            channel.queue_delete(name)
        if is_redis(ours):
            redis: Any = Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType]
            for key in redis.keys(f"{ours.prefix}:*"):
                redis.delete(key)
            redis.close()
