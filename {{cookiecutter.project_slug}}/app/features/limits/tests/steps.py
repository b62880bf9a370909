"""What the tests of limits share."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from fastapi import FastAPI
from httpx2 import AsyncClient

from app.core.db.session import Database
from app.features.limits.service import Limiter, limiting
from app.features.limits.settings import LimitSettings
from app.features.limits.windows import Memory, Store
from conftest import client_over
from tests.databases import NO_FILE
from tests.inline import serving

HERE, THERE = "198.51.100.7", "203.0.113.9"

ClientAt = Callable[..., AsyncClient]


@dataclass
class Clock:
    """The time of a memory."""

    now: float = 1000.0

    def __call__(self) -> float:
        """Tell it."""
        return self.now


def limiter(store: Store, **settings: Any) -> Limiter:  # noqa: ANN401, fields of `LimitSettings`
    """Counts in `store` what these settings say, and nothing else."""
    return Limiter(LimitSettings(**NO_FILE, **settings), store, "tests")


@dataclass
class Limited:
    """A service with limits, and its clients."""

    app: FastAPI
    database: Database
    limiter: Limiter
    clock: Clock

    def at(self, address: str, token: str | None = None) -> AsyncClient:
        """A client at an address, signed in with this token."""
        service = serving(self.database)
        service = replace(service, opened={**service.opened, limiting: self.limiter})
        service.database.carry(service)
        client = client_over(self.app, service, address)
        if token:
            client.headers["Authorization"] = f"Bearer {token}"
        return client


def limited(app: FastAPI, database: Database, **settings: Any) -> Limited:  # noqa: ANN401, likewise
    """The service with these limits."""
    clock = Clock()
    return Limited(app, database, limiter(Memory(clock), **settings), clock)
