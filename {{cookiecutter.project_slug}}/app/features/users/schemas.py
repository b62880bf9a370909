"""Requests and responses."""

from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, EmailStr, Field, StrictBool, StringConstraints

from app.core.pagination import ListQuery, SortableBy
from app.core.schemas import Input, Line, Output, Stored
from app.features.users.models import Role, User

# Addresses differ in no letter's size, whatever the standard allows.
Email = Annotated[
    EmailStr,
    Field(
        max_length=254,
        examples=["ada@example.com"],
        description="Of a public domain: none under `.test`, `.local` and the like",
    ),
    AfterValidator(str.lower),
]
FullName = Annotated[Line, StringConstraints(max_length=200), Field(examples=["Ada Lovelace"])]
RoleName = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$"), Field(examples=["member"])
]
Permission = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z_-]{1,40}:[a-z_-]{1,40})$")]


class ProfileChange(Input):
    """What people may change of their own account."""

    full_name: FullName


class UserChange(Input):
    """What an administrator may change of an account."""

    full_name: FullName | None = None
    is_active: StrictBool | None = None


class RoleNames(Input):
    """The roles that somebody is to have; others are taken away."""

    roles: Annotated[
        list[RoleName], Field(max_length=50, examples=[["member"]], description="Roles that exist")
    ]


class NewRole(Input):
    """A role to be added."""

    name: RoleName = Field(examples=["support"])
    description: Annotated[Line, StringConstraints(max_length=200)] = ""
    permissions: Annotated[list[Permission], Field(max_length=200, examples=[["users:read"]])]


class RoleChange(Input):
    """What to change of a role."""

    description: Annotated[Line, StringConstraints(max_length=200)] | None = None
    permissions: Annotated[list[Permission], Field(max_length=200)] | None = Field(
        None, examples=[["users:read"]]
    )


class RoleRead(Stored):
    """A role."""

    name: str
    description: str
    permissions: list[str]


class RoleReference(Output):
    """A role by its name."""

    name: str


class UserRead(Stored):
    """An account."""

    email: str
    full_name: str
    is_active: bool
    email_verified_at: AwareDatetime | None
    roles: list[RoleReference]


class UserQuery(ListQuery):
    """Which accounts to list."""

    sort: Annotated[str, SortableBy(User.created_at, User.email)] = "-created_at"
    email: Line | None = Field(None, max_length=254, description="Exactly this address")
    is_active: bool | None = None
    role: RoleName | None = None


class RoleQuery(ListQuery):
    """Which roles to list."""

    sort: Annotated[str, SortableBy(Role.name)] = "name"
