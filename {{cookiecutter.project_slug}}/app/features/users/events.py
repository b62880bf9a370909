"""Events that other features may listen to."""

from typing import ClassVar
from uuid import UUID

from app.core.events import Event


class UserEvent(Event):
    """Something has happened to an account."""

    user_id: UUID


class UserCreated(UserEvent):
    """An account was created; it may not be verified yet."""

    name: ClassVar[str] = "user.created"


class UserDeactivated(UserEvent):
    """An account was deactivated; its sessions must end."""

    name: ClassVar[str] = "user.deactivated"


class PasswordReplaced(UserEvent):
    """The password of an account was replaced; what was issued under the old one is void."""

    name: ClassVar[str] = "user.password_replaced"


class UserDeleted(UserEvent):
    """An account is about to be deleted."""

    name: ClassVar[str] = "user.deleted"


EVENTS = (UserCreated, UserDeactivated, PasswordReplaced, UserDeleted)
