"""Events that other features may listen to."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class UserCreated:
    """An account was created; it may not be verified yet."""

    user_id: UUID


@dataclass(frozen=True, slots=True)
class UserDeactivated:
    """An account was deactivated; its sessions must end."""

    user_id: UUID


@dataclass(frozen=True, slots=True)
class PasswordReplaced:
    """The password of an account was replaced; what was issued under the old one is void."""

    user_id: UUID


@dataclass(frozen=True, slots=True)
class UserDeleted:
    """An account is about to be deleted."""

    user_id: UUID
