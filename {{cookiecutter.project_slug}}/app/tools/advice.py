"""What a command reports about an error: in words, with what to do about it."""

import errno

from app.core.db.migrations import MigrationError
from app.core.db.refusals import Refused

WRITE = (
    "let this user write there, or name another folder; DATA_DIR is that of the built-in database"
)
SPACE = "free some space, and try again"
BY_NUMBER = {
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR), WRITE),
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), SPACE),
    errno.ENOTEMPTY: "move what is there away",
}
UNKNOWN_REVISION = (
    "migrations/versions has no such revision. If you named it, correct it; if the database is"
    " at it, run the code that migrated the database"
)


def on(error: Exception) -> str:
    """The message for the user of a command."""
    if isinstance(error.__cause__, Refused):
        return str(error.__cause__)
    if isinstance(error, OSError) and error.errno in BY_NUMBER:
        found = error.filename2 or error.filename
        where = f"{found}: " if found else ""
        return f"{where}{error.strerror}: {BY_NUMBER[error.errno]}"
    if isinstance(error, MigrationError) and "locate revision" in str(error):
        return f"{error}: {UNKNOWN_REVISION}"
    return str(error) or type(error).__name__  # some are empty
