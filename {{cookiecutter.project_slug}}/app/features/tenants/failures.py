"""How work with tenants can fail."""

from app.core.errors import Conflict, Forbidden, NotFound, Unprocessable


class TenantNotFound(NotFound):
    """There is no such tenant, or the caller is no member, which is the same to them."""

    def __init__(self) -> None:
        super().__init__("There is no such tenant.")


class InvalidTenant(Unprocessable):
    """What the header says is no id."""

    def __init__(self) -> None:
        super().__init__("X-Tenant-ID is not the id of a tenant.")


class TenantSuspended(Forbidden):
    """The people who run the service have closed the tenant for the time being."""

    def __init__(self) -> None:
        super().__init__("This tenant is suspended. Ask the people who run the service.")


class ContradictoryTenants(Unprocessable):
    """One request is about one tenant."""

    def __init__(self) -> None:
        super().__init__("The path and the header X-Tenant-ID name different tenants.")


class MemberNotFound(NotFound):
    """Nobody with this id works for the tenant."""

    def __init__(self) -> None:
        super().__init__("There is no such member.")


class InvitationNotFound(NotFound):
    """The tenant has no such invitation."""

    def __init__(self) -> None:
        super().__init__("There is no such invitation.")


class InvalidInvitation(Unprocessable):
    """The token is mistyped, used, replaced, revoked, expired, or was sent to another address."""

    def __init__(self) -> None:
        super().__init__("The invitation is not valid any more, or it was sent to another address.")


class AlreadyMember(Conflict):
    """Nobody is invited twice."""

    def __init__(self) -> None:
        super().__init__("Somebody with this address is a member already.")


class OwnersOnly(Forbidden):
    """Only owners decide who is an owner."""

    def __init__(self) -> None:
        super().__init__("Only an owner may do this.")


class LastOwner(Conflict):
    """Somebody must answer for the tenant."""

    def __init__(self) -> None:
        super().__init__(
            "A tenant needs an owner. Make somebody else an owner first, or delete it."
        )


class PersonalTenant(Conflict):
    """Everybody's own tenant stays theirs, and goes with their account."""

    def __init__(self) -> None:
        super().__init__("This is somebody's own tenant: it is not handed over or deleted.")


class TooMany(Conflict):
    """A bound, against abuse."""

    def __init__(self, what: str, most: int) -> None:
        super().__init__(f"There can be at most {most} {what}.")
