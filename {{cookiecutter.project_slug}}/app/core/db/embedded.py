"""A database for development and tests when none is configured."""

from collections.abc import Generator
from contextlib import contextmanager

from app.core.db.dialects import DIALECTS
from app.core.settings import Settings


@contextmanager
def ensure_database(settings: Settings) -> Generator[Settings]:
    """The settings with a `database_url`: the configured one, or that of the embedded database."""
    if settings.database_url is not None:
        yield settings
        return
    with DIALECTS[0].embedded(settings.data_dir.absolute()) as url:
        yield settings.model_copy(update={"database_url": url})
