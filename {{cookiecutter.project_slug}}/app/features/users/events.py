"""What other features may want to hear of."""

from typing import ClassVar
from uuid import UUID

from app.core.events import Event


class UserEvent(Event):
    """Something has happened to an account."""

    user_id: UUID


class UserCreated(UserEvent):
    """There is a new account; it may not be verified yet."""

    name: ClassVar[str] = "user.created"


class UserDeactivated(UserEvent):
    """An account was deactivated; all its sessions must end."""

    name: ClassVar[str] = "user.deactivated"


class PasswordReplaced(UserEvent):
    """The account has another password; what was given to the old one is void."""

    name: ClassVar[str] = "user.password_replaced"


class UserDeleted(UserEvent):
    """An account is about to be deleted."""

    name: ClassVar[str] = "user.deleted"


EVENTS = (UserCreated, UserDeactivated, PasswordReplaced, UserDeleted)
