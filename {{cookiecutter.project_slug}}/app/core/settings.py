"""Settings of the service, read from environment variables and from `.env`."""

from collections.abc import Callable
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Self

from fastapi import Depends, Request
from pydantic import (
    BeforeValidator,
    Field,
    ImportString,
    InstanceOf,
    PlainSerializer,
    SecretStr,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy import URL

from app.core.db.dialects import parse_url
from app.core.jobs import Queue
from app.core.mail import Mailer


class Environment(StrEnum):
    """Where the service runs; `staging` and `production` refuse what only suits a laptop."""

    LOCAL = "local"
    TEST = "test"
    STAGING = "staging"
    PRODUCTION = "production"


class LogFormat(StrEnum):
    """How log lines are written."""

    JSON = "json"
    CONSOLE = "console"


def _split(value: object) -> object:
    """Accept `a,b` as well as a list, so that a variable needs no JSON."""
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return value


DatabaseUrl = Annotated[
    InstanceOf[URL],
    BeforeValidator(parse_url),
    PlainSerializer(lambda url: url.render_as_string(hide_password=True), return_type=str),
]
CommaSeparated = Annotated[list[str], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """Each field is the environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", hide_input_in_errors=True)

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

    mailer: ImportString[Callable[..., Mailer]] = Field(
        default="app.core.mail.console.ConsoleMailer", validate_default=True
    )
    mail_from: str = "{{ cookiecutter.author_email }}"
    smtp_url: SecretStr = SecretStr("smtp://127.0.0.1:25")

    job_queue: ImportString[Callable[..., Queue]] = Field(
        default="app.core.jobs.local.LocalQueue", validate_default=True
    )
    job_concurrency: int = Field(default=4, ge=1, le=1000)
    job_poll_seconds: float = Field(default=1.0, gt=0, le=3600)

    cors_origins: CommaSeparated = []
    max_body_size: int = Field(default=1_048_576, ge=1)
    shutdown_timeout: int = Field(default=30, ge=0)

    @property
    def deployed(self) -> bool:
        """Whether strangers can reach this process."""
        return self.environment in {Environment.STAGING, Environment.PRODUCTION}

    @model_validator(mode="after")
    def refuse_faults(self) -> Self:
        """Name everything that is unfit for a deployed service, at once."""
        faults = [text for unfit, text in FAULTS if unfit(self)] if self.deployed else []
        if faults:
            raise ValueError("; ".join(faults))
        return self


def _is_sqlite(url: URL | None) -> bool:
    return url is not None and url.get_backend_name() == "sqlite"


def _is_weak(secret: SecretStr | None) -> bool:
    """Short, or made of few different characters, as `changeme` repeated is."""
    if secret is None:
        return False
    value = secret.get_secret_value()
    return len(value.encode()) < 32 or len(set(value)) < 12  # noqa: PLR2004


FAULTS: list[tuple[Callable[[Settings], bool], str]] = [
    (
        lambda s: s.secret_key is None,
        "SECRET_KEY is not set: make one with `openssl rand -hex 32`",
    ),
    (
        lambda s: _is_weak(s.secret_key) or _is_weak(s.previous_secret_key),
        "SECRET_KEY or PREVIOUS_SECRET_KEY can be guessed: it needs 32 random bytes or more",
    ),
    (
        lambda s: not s.public_url.startswith("https://"),
        "PUBLIC_URL is not https://, and the links in mails lead there",
    ),
    (
        lambda s: getattr(s.mailer, "for_development", False),
        "MAILER only shows mails to developers: set it to app.core.mail.smtp.SMTPMailer",
    ),
    (
        lambda s: s.database_url is None,
        "DATABASE_URL is not set, and the built-in database is for development only",
    ),
    (
        lambda s: _is_sqlite(s.database_url) or _is_sqlite(s.migration_database_url),
        "DATABASE_URL or MIGRATION_DATABASE_URL names SQLite, which is for development only",
    ),
    (
        lambda s: s.debug,
        "DEBUG is on, which writes every SQL statement with its values to the log",
    ),
    (
        lambda s: "*" in s.cors_origins,
        "CORS_ORIGINS contains *, which lets any website call the service: name each origin",
    ),
]


@cache
def get_settings() -> Settings:
    """The settings of this process."""
    return Settings()


async def request_settings(request: Request) -> Settings:
    """The settings that the application was made with."""
    return request.state.settings


SettingsDep = Annotated[Settings, Depends(request_settings)]
