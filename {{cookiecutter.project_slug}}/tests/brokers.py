"""The brokers configured for tests, and how to clean them."""

import os
from typing import Any

from celery import Celery
from redis import Redis

from app.core.jobs.celery import application

BROKERS = {"redis": "TEST_REDIS_URL", "rabbitmq": "TEST_AMQP_URL"}
URLS = {name: os.environ.get(name) for name in BROKERS.values()}


def clean(celery: Celery, url: str, prefix: str) -> None:
    """Clean the broker."""
    names = [queue.name for queue in celery.conf.task_queues]
    with celery.connection_for_write() as connection:
        channel: Any = connection.default_channel
        for name in names:
            channel.queue_delete(name)
        if application.is_redis():
            redis: Any = Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType]
            for key in redis.keys(f"{prefix}:*"):
                redis.delete(key)
            redis.close()
