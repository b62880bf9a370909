"""Limits on requests and attempts: by address, by user, and strictly where secrets are guessed."""

from app.core.feature import Feature
from app.features.limits.service import (
    POLICY,
    RATE_LIMIT,
    Attempt,
    TooManyAttempts,
    admit,
    attempt,
    attempt_anywhere,
    attempt_mail,
    limiting,
    network,
    standing,
    succeeded,
)
from app.features.limits.settings import LimitSettings

__all__ = [
    "Attempt",
    "TooManyAttempts",
    "attempt",
    "attempt_anywhere",
    "attempt_mail",
    "feature",
    "network",
    "standing",
    "succeeded",
]

feature = Feature(
    resources=(limiting,),
    admissions=(admit,),
    exposed=(RATE_LIMIT, POLICY, "Retry-After"),
    settings=(LimitSettings,),
)
