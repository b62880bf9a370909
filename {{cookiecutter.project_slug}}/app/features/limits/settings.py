"""Settings of this feature, `LIMITS_...`."""

import re
from collections.abc import Iterable
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator, Field, PlainSerializer
from pydantic_settings import NoDecode, SettingsConfigDict

from app.core.settings import FeatureSettings, Settings

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
RATE = re.compile(r"([1-9]\d{0,8})/([1-9]\d{0,3})?([smhd])")


class Rate(NamedTuple):
    """How many are allowed within how many seconds."""

    quota: int
    seconds: int


def rate_of(text: str) -> Rate:
    """The rate in a text such as `5/m` or `30/15m`."""
    found = RATE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"contains {text.strip()!r}: write 100/m, 30/15m or 500/h, or off")
    return Rate(int(found[1]), int(found[2] or 1) * UNITS[found[3]])


def rates(text: str) -> tuple[Rate, ...]:
    """The rates in a text, separated by commas; none in `off`."""
    return () if text.strip() == "off" else tuple(map(rate_of, text.split(",")))


def parse(value: object) -> object:
    """The rates of a variable."""
    return rates(value) if isinstance(value, str) else value


def text_of(rates: Iterable[Rate]) -> str:
    """The rates as they are written."""
    return ", ".join(f"{each.quota}/{each.seconds}s" for each in rates) or "off"


Rates = Annotated[
    tuple[Rate, ...],
    NoDecode,
    BeforeValidator(parse),
    PlainSerializer(text_of, return_type=str),
]


class LimitSettings(FeatureSettings):
    """Each field is read from the environment variable `LIMITS_` plus its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="LIMITS_")

    address: Rates = Field(default=rates("300/m"), max_length=1)
    user: Rates = Field(default=rates("1200/m"), max_length=1)
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenant: Rates = Field(default=rates("6000/m"), max_length=1)
    # {% endif %}
    concurrent: int = Field(default=100, ge=1)

    login_address: Rates = rates("60/5m")
    login_account: Rates = rates("5/m, 10/15m, 30/d")
    login_anywhere: Rates = rates("50/h")
    token_address: Rates = rates("60/m")
    mail_address: Rates = rates("30/h")
    mail_account: Rates = rates("3/15m, 10/d")
    mail_anywhere: Rates = rates("6/30m")

    closed: bool = False
    per_process: bool = False

    def faults_of_several(self, service: Settings) -> Iterable[str]:
        """Each of several processes would admit as many as all of them should."""
        if service.redis_url is None and not self.per_process:
            yield (
                "REDIS_URL is not set, so each process would count for itself: set it, use one process,"
                " or accept it with LIMITS_PER_PROCESS=true"
            )
