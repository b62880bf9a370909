"""What other features may want to hear of."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class UserCreated:
    """There is a new account; it may not be verified yet."""

    user_id: UUID


@dataclass(frozen=True, slots=True)
class UserDeactivated:
    """An account was switched off; whoever is signed in with it must be no longer."""

    user_id: UUID


@dataclass(frozen=True, slots=True)
class PasswordReplaced:
    """Somebody set another password for the account; what was given to the old one is void."""

    user_id: UUID


@dataclass(frozen=True, slots=True)
class UserDeleted:
    """An account is about to be deleted."""

    user_id: UUID
