"""The types of settings, and what their variables may contain."""

from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, InstanceOf, PlainSerializer, SecretStr
from pydantic_settings import NoDecode
from sqlalchemy import URL

from app.core.db.dialects import parse_url


def split(value: object) -> object:
    """Accept `a,b` as well as a list, so that a variable needs no JSON."""
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return value


def redis(url: SecretStr) -> SecretStr:
    """Refuse what is no URL of Redis."""
    if not url.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("is not a URL of Redis: write redis://:secret@host:6379/0")
    return url


def writable(folder: Path | None) -> Path | None:
    """Refuse a folder in which no file can be created."""
    try:
        if folder is not None:
            TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ValueError(
            f"is not a folder that the service can write to ({error.strerror}): create it, or mount a"
            " volume there, and give it to the user that the service runs as"
        ) from None
    return folder


DatabaseUrl = Annotated[
    InstanceOf[URL],
    BeforeValidator(parse_url),
    PlainSerializer(lambda url: url.render_as_string(hide_password=True), return_type=str),
]
WritableFolder = Annotated[
    Path | None, BeforeValidator(lambda path: path or None), AfterValidator(writable)
]
CommaSeparated = Annotated[list[str], NoDecode, BeforeValidator(split)]
DatabaseUrls = Annotated[list[DatabaseUrl], NoDecode, BeforeValidator(split)]
RedisUrl = Annotated[SecretStr, AfterValidator(redis)]
