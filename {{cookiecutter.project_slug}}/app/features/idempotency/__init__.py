"""Retries without a second effect: a request with an `Idempotency-Key` is executed once."""

from app.core.feature import Feature
from app.features.idempotency.deps import KEY, REPLAYED, idempotent, idempotent_only
from app.features.idempotency.jobs import purge_keys
from app.features.idempotency.models import IdempotencyKey
from app.features.idempotency.service import KeyedRequest, once
from app.features.idempotency.settings import IdempotencySettings

__all__ = ["KeyedRequest", "feature", "idempotent", "idempotent_only", "once"]

feature = Feature(
    models=(IdempotencyKey,),
    jobs=(purge_keys,),
    accepted=(KEY,),
    exposed=(KEY, REPLAYED),
    settings=(IdempotencySettings,),
)
