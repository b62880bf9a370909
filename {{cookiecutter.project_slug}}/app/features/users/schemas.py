"""Requests and responses."""

from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, EmailStr, Field, StrictBool, StringConstraints

from app.core.pagination import ListQuery, SortableBy
from app.core.schemas import Input, Line, Output, Stored, Version
from app.features.users.models import Role, User

# Addresses are case-insensitive, whatever the standard allows.
Email = Annotated[
    EmailStr,
    Field(
        max_length=254,
        examples=["ada@example.com"],
        description="Must be at a public domain, not under `.test`, `.local` or the like",
    ),
    AfterValidator(str.lower),
]
FullName = Annotated[Line, StringConstraints(max_length=200), Field(examples=["Ada Lovelace"])]
RoleName = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$"), Field(examples=["member"])
]
Permission = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z_-]{1,40}:[a-z_-]{1,40})$")]


class ProfileChange(Input):
    """Changes to the caller's account."""

    full_name: FullName


class UserChange(Input):
    """Changes to an account, by an administrator."""

    full_name: FullName | None = None
    is_active: StrictBool | None = None


class RoleNames(Input):
    """The complete list of an account's roles."""

    roles: Annotated[
        list[RoleName], Field(max_length=50, examples=[["member"]], description="Existing roles")
    ]


class NewRole(Input):
    """A role to create."""

    name: RoleName = Field(examples=["support"])
    description: Annotated[Line, StringConstraints(max_length=200)] = ""
    permissions: Annotated[list[Permission], Field(max_length=200, examples=[["users:read"]])]


class RoleChange(Input):
    """Changes to a role."""

    description: Annotated[Line, StringConstraints(max_length=200)] | None = None
    permissions: Annotated[list[Permission], Field(max_length=200)] | None = Field(
        None, examples=[["users:read"]]
    )


class RoleRead(Stored):
    """A role."""

    version: Version
    name: str
    description: str
    permissions: list[str]


class RoleReference(Output):
    """A reference to a role, by name."""

    name: str


class UserRead(Stored):
    """An account."""

    email: str
    full_name: str
    is_active: bool
    email_verified_at: AwareDatetime | None
    roles: list[RoleReference]


class UserQuery(ListQuery):
    """Filters for accounts."""

    sort: Annotated[str, SortableBy(User.created_at, User.email)] = "-created_at"
    email: Line | None = Field(None, max_length=254, description="The exact address")
    is_active: bool | None = None
    role: RoleName | None = None


class RoleQuery(ListQuery):
    """Filters for roles."""

    sort: Annotated[str, SortableBy(Role.name)] = "name"
