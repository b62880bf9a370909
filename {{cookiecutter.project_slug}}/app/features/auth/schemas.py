"""Requests and responses."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from app.core.schemas import Input, Output, Stored
from app.features.users.schemas import Email, FullName

# Length and strength are checked by the rules, which speak in plainer words.
Password = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Token = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,128}$")]


class Registration(Input):
    """A new account."""

    email: Email = Field(examples=["ada@example.com"])
    password: Password = Field(examples=["correct horse battery staple"])
    full_name: FullName = ""


class Accepted(Output):
    """The same words for every address, known or not."""

    detail: str = "If that is possible, a mail is on its way."


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
    """Whose password is to be reset."""

    email: Email


class PasswordReset(Input):
    """The token from the mail, and a new password."""

    token: Token
    password: Password


class PasswordChange(Input):
    """A new password, by somebody who knows the old one."""

    current_password: Password
    new_password: Password


class EmailChange(Input):
    """A new address, to be confirmed from both."""

    new_email: Email
    password: Password


class EmailConfirmation(Input):
    """The token from one of the two mails."""

    token: Token


class SessionRead(Stored):
    """One device that is signed in."""

    address: str | None
    user_agent: str
    last_used_at: AwareDatetime
    expires_at: AwareDatetime
