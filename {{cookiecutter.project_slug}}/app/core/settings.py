"""Settings of the service, read from environment variables and from `.env`."""

import os
import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from fastapi import Depends
from pydantic import Field, ImportString, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)
from sqlalchemy import URL
from starlette.requests import HTTPConnection

from app.core.db.dialects import dialect_of
from app.core.jobs import Queue
from app.core.mail import Mailer, lacks_key
from app.core.values import CommaSeparated, DatabaseUrl, DatabaseUrls, RedisUrl, WritableFolder


class Environment(StrEnum):
    """Where the service runs; `staging` and `production` refuse development-only settings."""

    LOCAL = "local"
    TEST = "test"
    STAGING = "staging"
    PRODUCTION = "production"


class Pooler(StrEnum):
    """What stands between the service and its database."""

    TRANSACTION = "transaction"
    """A pooler that hands each transaction another connection, such as PgBouncer."""


DEPLOYED = frozenset({Environment.STAGING, Environment.PRODUCTION})


class LogFormat(StrEnum):
    """The format of log lines."""

    JSON = "json"
    CONSOLE = "console"


SECRETS = "/run/secrets"
"""Where orchestrators mount secrets as files; `SECRETS_DIR` names another folder."""


class FeatureSettings(BaseSettings):
    """Settings from environment variables, from `.env`, or from files named like the variables.

    A feature derives a class from it, with its own `env_prefix`.
    """

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", hide_input_in_errors=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The first source wins; a folder that does not exist is left out."""
        folder = os.environ.get("SECRETS_DIR", SECRETS)  # noqa: TID251, it says where settings are
        found = folder and Path(folder).is_dir()
        files = [SecretsSettingsSource(settings_cls, secrets_dir=folder)] if found else []
        return (init_settings, env_settings, dotenv_settings, *files)

    def faults(self) -> Iterable[str]:
        """What a deployed service must not run with: each names the variable and says what to do."""
        return ()

    def faults_of_several(self, service: "Settings") -> Iterable[str]:
        """Likewise, what several processes of this service must not run with."""
        return ()


class Settings(FeatureSettings):
    """The service's own settings: each field is the environment variable of the same name in capitals."""

    project_name: str = "{{ cookiecutter.__project_name }}"
    environment: Environment = Environment.LOCAL
    debug: bool = False
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    log_format: LogFormat | None = None
    data_dir: Path = Path(".data")

    secret_key: SecretStr | None = None
    previous_secret_key: SecretStr | None = None
    issuer: str = "{{ cookiecutter.project_slug }}"
    audience: str = "{{ cookiecutter.project_slug }}"
    public_url: str = Field(default="http://127.0.0.1:3000", pattern=r"^https?://[^\s?#]+$")
    service_url: str = Field(default="http://127.0.0.1:8000", pattern=r"^https?://[^\s?#]+$")
    api_docs: bool = True

    database_url: DatabaseUrl | None = None
    migration_database_url: DatabaseUrl | None = None
    database_role: str = Field(default="app_service", pattern="^[a-z0-9_]{0,63}$")
    database_pool_size: int = Field(default=15, ge=1, le=1000)
    database_timeout: float = Field(default=10.0, gt=0, le=600)
    database_pooler: Pooler | None = None
    database_replica_urls: DatabaseUrls = []
    database_read_after_seconds: float = Field(default=10.0, ge=1, le=3600)

    redis_url: RedisUrl | None = None

    mailer: ImportString[Callable[..., Mailer]] = Field(
        default="app.core.mail.console.ConsoleMailer", validate_default=True
    )
    mail_from: str = "{{ cookiecutter.author_email }}"
    smtp_url: SecretStr = SecretStr("smtp://127.0.0.1:25")
    mail_api_url: str = Field(default="", pattern=r"^(https?://[^\s?#@]+)?$")
    mail_api_key: SecretStr = SecretStr("")

    job_queue: ImportString[Callable[..., Queue]] | None = None
    job_concurrency: int = Field(default=4, ge=1, le=1000)
    job_poll_seconds: float = Field(default=1.0, gt=0, le=3600)

    archive_dir: WritableFolder = None

    cors_origins: CommaSeparated = []
    allowed_hosts: CommaSeparated = []
    trusted_proxies: CommaSeparated = ["127.0.0.1", "::1"]
    hsts_seconds: int = Field(default=31_536_000, ge=0)
    request_timeout: float = Field(default=60.0, gt=0, le=3600)
    compress_from: int = Field(default=1024, ge=0)
    recent_sign_in_minutes: int = Field(default=20, ge=1, le=1440)
    drain_seconds: float | None = Field(default=None, ge=0, le=600)
    max_body_size: int = Field(default=1_048_576, ge=1)
    shutdown_timeout: int = Field(default=30, ge=0)
    worker_timeout: int = Field(default=60, ge=1)

    @property
    def deployed(self) -> bool:
        """Whether this process may be exposed to the public."""
        return self.environment in DEPLOYED

    def faults(self) -> list[str]:
        """Everything that a deployed service must not run with."""
        return faults_of(self, FAULTS)

    @model_validator(mode="after")
    def refuse_faults(self) -> Self:
        """Report every fault of a deployed service at once, and what fits nowhere in the others."""
        if faults := self.faults() if self.deployed else faults_of(self, MISTAKES):
            raise ValueError("; ".join(faults))
        return self


def faults_of(settings: Settings, faults: "Faults") -> list[str]:
    """Those that these settings have."""
    return [text for unfit, text in faults if unfit(settings)]


def _is_replicated(settings: Settings) -> bool:
    """Whether the replicas are of the same kind as the database."""
    driver = settings.database_url.drivername if settings.database_url else None
    return all(url.drivername == driver for url in settings.database_replica_urls)


def _is_poolable(url: URL | None) -> bool:
    return url is not None and dialect_of(url).poolable


def _is_sqlite(url: URL | None) -> bool:
    return url is not None and url.get_backend_name() == "sqlite"


def is_repetitive(secret: str) -> bool:
    """Whether it is a shorter text, repeated."""
    return any(secret[size:] == secret[:-size] for size in range(1, len(secret) // 2 + 1))


def _is_weak(secret: SecretStr | None) -> bool:
    """Whether it is short, repetitive, or has few distinct characters."""
    if secret is None:
        return False
    value = secret.get_secret_value()
    few = len(value.encode()) < 32 or len(set(value)) < 12  # noqa: PLR2004
    return few or is_repetitive(value)


OPEN_PASSWORD = re.compile(r"smtp://[^@]*:[^@]+@", re.IGNORECASE)
LOGIN = re.compile(r"https?://[^/]*@")
# The `Origin` header that a browser sends for a page loaded over TLS.
ORIGIN = re.compile(r"https://([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:]+\])(:(?!443$)[0-9]{1,5})?")
HOST = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:]+\]")
MOST_BODY = 1024**3

Faults = list[tuple[Callable[[Settings], bool], str]]
MISTAKES: Faults = [
    (
        lambda s: bool(s.database_pooler and not _is_poolable(s.database_url)),
        "DATABASE_POOLER is set, but DATABASE_URL names no database that works behind one: unset it",
    ),
    (
        lambda s: bool(s.database_pooler and not s.migration_database_url),
        "DATABASE_POOLER is set, but migrations need a session of their own: name the database itself in"
        " MIGRATION_DATABASE_URL",
    ),
    (
        lambda s: not _is_replicated(s),
        "DATABASE_REPLICA_URLS does not name replicas of DATABASE_URL: set both, to copies of one database",
    ),
]
FAULTS: Faults = [
    (
        lambda s: s.secret_key is None,
        "SECRET_KEY is not set: generate one with `openssl rand -hex 32`",
    ),
    (
        lambda s: _is_weak(s.secret_key) or _is_weak(s.previous_secret_key),
        "SECRET_KEY or PREVIOUS_SECRET_KEY is guessable: use at least 32 random bytes",
    ),
    (
        lambda s: not s.public_url.startswith("https://"),
        "PUBLIC_URL is not https://, but links in mails use it",
    ),
    (
        lambda s: LOGIN.match(s.public_url) is not None,
        "PUBLIC_URL contains credentials, which every mail would show: remove them",
    ),
    (
        lambda s: not (s.issuer.strip() and s.audience.strip()),
        "ISSUER or AUDIENCE is empty: name this service, or tokens of other services are accepted",
    ),
    (
        lambda s: getattr(s.mailer, "for_development", False),
        "MAILER is for development only: set it to app.core.mail.smtp.SMTPMailer",
    ),
    (
        lacks_key,
        "MAILER needs MAIL_API_URL and MAIL_API_KEY: set both, the key in the form that .env.example shows",
    ),
    (
        lambda s: s.mail_api_url.startswith("http://"),
        "MAIL_API_URL is not https://, but MAIL_API_KEY is sent there",
    ),
    (
        lambda s: OPEN_PASSWORD.match(s.smtp_url.get_secret_value()) is not None,
        "SMTP_URL sends a password without TLS: use smtps:// or smtp+starttls://",
    ),
    (
        lambda s: s.database_url is None,
        "DATABASE_URL is not set, and the built-in database is for development only",
    ),
    (
        lambda s: _is_sqlite(s.database_url) or _is_sqlite(s.migration_database_url),
        "DATABASE_URL or MIGRATION_DATABASE_URL names SQLite, which is for development only",
    ),
    *MISTAKES,
    (
        lambda s: s.debug,
        "DEBUG is on, which logs every SQL statement with its values",
    ),
    (
        lambda s: "*" in s.cors_origins,
        "CORS_ORIGINS contains *, which lets any website call the service: list each origin",
    ),
    (
        lambda s: any(each != "*" and not ORIGIN.fullmatch(each) for each in s.cors_origins),
        "CORS_ORIGINS contains an invalid origin: write https://app.example.com,"
        " in lower case, without a path, a trailing slash, or a *",
    ),
    (
        lambda s: not all(HOST.fullmatch(each.lower()) for each in s.allowed_hosts),
        "ALLOWED_HOSTS contains an invalid name: write api.example.com or *.example.com,"
        " without a scheme, port or path",
    ),
    (
        lambda s: "*" in s.trusted_proxies,
        "TRUSTED_PROXIES contains *, which lets every client choose its own address: list your proxies",
    ),
    (
        lambda s: s.max_body_size > MOST_BODY,
        f"MAX_BODY_SIZE is more than {MOST_BODY}, and a few such bodies exhaust the memory: lower it",
    ),
]


async def request_settings(connection: HTTPConnection) -> Settings:
    """The settings that the service was opened with."""
    return connection.state.service.settings


SettingsDep = Annotated[Settings, Depends(request_settings)]
