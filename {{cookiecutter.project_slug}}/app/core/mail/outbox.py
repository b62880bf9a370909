"""Mail from within a transaction."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.session import after_commit
from app.core.mail import Mail

POST = "post"


def send(session: AsyncSession, mail: Mail) -> None:
    """Send once the work of `session` is committed; a rollback takes the letter back."""
    post = session.info[POST]
    after_commit(session, lambda: post(mail))
