"""What is left of the caller's rate limits."""

from datetime import datetime, timedelta
from math import ceil

import strawberry

from app.core.admission import admission_of
from app.core.db.base import utc_now
from app.core.routing import SERVICE
from app.core.security.access import signed_in
from app.features import limits
from app.features.graphql.context import Info
from app.features.graphql.fields import field


@strawberry.type(description="A limit on the caller's requests, and what is left of it")
class RateLimit:
    name: str
    limit: int
    cost: int
    remaining: int
    resets_at: datetime


@strawberry.type
class Query:
    @field(signed_in, SERVICE)
    async def rate_limits(self, info: Info) -> list[RateLimit]:
        """The caller's rate limits, what this request costs, and what is left. Asking is free."""
        service, principal = info.context.service, info.context.principal
        found = await limits.standing(service, principal)
        return [
            RateLimit(
                name=name,
                limit=rate.quota,
                cost=admission_of(info.context.connection.scope).weight,
                remaining=window.left(rate),
                resets_at=utc_now() + timedelta(seconds=ceil(rate.seconds - window.elapsed)),
            )
            for name, rate, window in found
        ]
