"""Failures of tenants."""

from app.core.errors import Conflict, Forbidden, NotFound, Unprocessable


class TenantNotFound(NotFound):
    """The tenant does not exist, or the caller is not a member; the two look alike."""

    def __init__(self) -> None:
        super().__init__("There is no such tenant.")


class InvalidTenant(Unprocessable):
    """The header does not contain an id."""

    def __init__(self) -> None:
        super().__init__("X-Tenant-ID is not the id of a tenant.")


class TenantSuspended(Forbidden):
    """An operator of the service has suspended the tenant."""

    def __init__(self) -> None:
        super().__init__("This tenant is suspended. Contact the operator of the service.")


class ContradictoryTenants(Unprocessable):
    """The path and the header name different tenants; a request acts in one."""

    def __init__(self) -> None:
        super().__init__("The path and the header X-Tenant-ID name different tenants.")


class MemberNotFound(NotFound):
    """The tenant has no member with this id."""

    def __init__(self) -> None:
        super().__init__("There is no such member.")


class InvitationNotFound(NotFound):
    """The tenant has no such invitation."""

    def __init__(self) -> None:
        super().__init__("There is no such invitation.")


class InvalidInvitation(Unprocessable):
    """The token is invalid, used, replaced, revoked or expired, or was sent to another address."""

    def __init__(self) -> None:
        super().__init__("The invitation is no longer valid, or was sent to another address.")


class AlreadyMember(Conflict):
    """The user is already a member."""

    def __init__(self) -> None:
        super().__init__("A user with this address is already a member.")


class OwnersOnly(Forbidden):
    """Only an owner may do this."""

    def __init__(self) -> None:
        super().__init__("Only an owner may do this.")


class LastOwner(Conflict):
    """A tenant must always have an owner."""

    def __init__(self) -> None:
        super().__init__(
            "A tenant needs an owner. Make another member an owner first, or delete the tenant."
        )


class PersonalTenant(Conflict):
    """A personal tenant belongs to its user, and is deleted with the account."""

    def __init__(self) -> None:
        super().__init__("A personal tenant cannot be transferred or deleted.")


class TooMany(Conflict):
    """A limit that prevents abuse has been reached."""

    def __init__(self, what: str, most: int) -> None:
        super().__init__(f"There can be at most {most} {what}.")
