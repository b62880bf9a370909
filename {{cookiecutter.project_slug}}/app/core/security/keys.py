"""The keys that sign tokens and cursors."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from app.core.settings import Environment, Settings


def signing_keys(settings: Settings) -> list[str]:
    """The signing key, then those still accepted."""
    current = settings.secret_key.get_secret_value() if settings.secret_key else ""
    previous = settings.previous_secret_key
    return [
        current or development_key(settings.data_dir, settings.environment),
        *([previous.get_secret_value()] if previous else []),
    ]


def development_key(directory: Path, environment: Environment) -> str:
    """A random key for this machine, kept in a file so that logins survive a restart."""
    if environment is not Environment.LOCAL:
        return secrets.token_hex(32)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "secret_key"
    draft = directory / f"secret_key.{os.getpid()}"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    with suppress(FileExistsError):
        os.link(draft, path)  # atomic, when several processes start at once
    draft.unlink()
    return path.read_text(encoding="ascii")
