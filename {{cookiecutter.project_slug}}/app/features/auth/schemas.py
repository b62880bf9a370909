"""Requests and responses."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from app.core.schemas import Input, Output, Stored
from app.core.security.passwords import LONGEST, SHORTEST
from app.features.users.schemas import Email, FullName

Password = Annotated[
    str,
    StringConstraints(min_length=1, max_length=LONGEST),
    Field(examples=["correct horse battery staple"]),
]
# The rules check length and strength, with clearer messages.
NewPassword = Annotated[
    Password,
    Field(
        description="Hard to guess: neither a common password nor the address",
        json_schema_extra={"minLength": SHORTEST},
    ),
]
Token = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,128}$"),
    Field(examples=["kRL2dXbVbXkTZ9mPVsmW6cJqTY0ZqI7d3lR5uXG1n8E"]),
]


class PasswordForm(BaseModel):
    """The form of OAuth2's password grant (RFC 6749, section 4.3.2)."""

    grant_type: Literal["password"] = "password"
    username: str = Field(min_length=1, examples=["ada@example.com"], description="Your email")
    password: str = Field(min_length=1, examples=["correct horse battery staple"])


class Registration(Input):
    """A new account."""

    email: Email
    password: NewPassword
    full_name: FullName = ""


class Accepted(Output):
    """The same response for every address, known or not."""

    detail: str = "If the request can be fulfilled, a mail is on its way."


class Tokens(Output):
    """What a client needs to stay signed in."""

    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105
    expires_in: int = Field(description="Seconds until the access token expires")


class Refresh(Input):
    """A refresh token, to be exchanged for new ones."""

    refresh_token: Token


class EmailVerification(Input):
    """The token from the mail, and the password that the account was registered with."""

    token: Token
    password: Password


class PasswordForgotten(Input):
    """The account whose password is to be reset."""

    email: Email


class PasswordReset(Input):
    """The token from the mail, and a new password."""

    token: Token
    password: NewPassword


class PasswordChange(Input):
    """A new password, and the current one."""

    current_password: Password
    new_password: NewPassword


class EmailChange(Input):
    """A new address, to be confirmed from both addresses."""

    new_email: Email
    password: Password


class EmailConfirmation(Input):
    """The token from one of the two mails."""

    token: Token


class SessionRead(Stored):
    """A session: one login on one device."""

    address: str | None
    user_agent: str
    last_used_at: AwareDatetime
    expires_at: AwareDatetime
