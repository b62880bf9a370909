"""The audit log."""

from uuid import UUID

import strawberry

from app.core.routing import SERVICE
from app.core.security.access import Can
from app.features.audit import repository, schemas
from app.features.audit.permissions import AuditPermission
from app.features.graphql.context import Info
from app.features.graphql.fields import field
from app.features.graphql.nodes import Identified
from app.features.graphql.pages import connection
from app.features.graphql.schemas import filters, shows
from app.features.graphql.types.users import User, read_users, users_with

read_audit = Can(AuditPermission.READ)


@shows(schemas.AuditEventRead)
class AuditEvent(Identified):
    actor_id: UUID | None

    @field(read_users, SERVICE)
    async def actor(self, info: Info) -> User | None:
        """The user who acted, unless the account is deleted."""
        if self.actor_id is None:
            return None
        found = await info.context.loader(users_with).load(self.actor_id)
        return User.of(found) if found else None


@filters(schemas.AuditQuery)
class AuditFilter: ...


@strawberry.type
class Query:
    audit_events = connection(
        AuditEvent,
        schemas.AuditQuery,
        repository.page,
        access=read_audit,
        about=SERVICE,
        filters=AuditFilter,
        description="List audit events, newest first by default.",
    )
