"""A database for development and tests when none is configured."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from app.core.db.dialects import DIALECTS
from app.core.db.migrations import ROOT
from app.core.settings import Settings


@contextmanager
def ensure_database(settings: Settings) -> Generator[Settings]:
    """The settings with a `database_url`: the configured one, or that of the embedded database."""
    if settings.database_url is not None:
        yield settings
        return
    if not settings.data_dir.is_absolute() and not ROOT.samefile(Path.cwd()):
        raise RuntimeError(
            f"the built-in database and `.env` belong to the project in {ROOT}: run this command in that"
            " folder, or set DATABASE_URL"
        )
    with DIALECTS[0].embedded(settings.data_dir.absolute()) as url:
        yield settings.model_copy(update={"database_url": url})
