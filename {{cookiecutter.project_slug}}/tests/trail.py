"""What the audit log says that a test has done."""

from uuid import UUID

from sqlalchemy import select

from app.core.db.session import Database, reading
from app.features.audit.models import AuditEvent


class Trail:
    """The actions on record, as they come."""

    def __init__(self, database: Database, *kinds: str) -> None:
        self.database = database
        self.kinds = kinds
        self.known: set[UUID] = set()

    async def new(self) -> list[str]:
        """The actions of these kinds that were recorded since the last call, in alphabetical order."""
        async with reading(self.database) as session:
            rows = await session.execute(select(AuditEvent.id, AuditEvent.action))
            found = {event_id: action for event_id, action in rows if event_id not in self.known}
        self.known |= found.keys()
        return sorted(action for action in found.values() if action.split(".")[0] in self.kinds)
