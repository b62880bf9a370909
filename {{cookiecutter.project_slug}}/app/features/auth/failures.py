"""Authentication failures."""

from app.core.errors import NotFound, Unauthorized, Unprocessable


class WrongCredentials(Unauthorized):
    """No active, verified account matches; the response does not say what is wrong."""

    keeps_work = True  # the attempt is in the audit log

    def __init__(self) -> None:
        super().__init__(
            "The email address or the password is wrong, or the address is not verified yet."
        )


class InvalidRefreshToken(Unauthorized):
    """The refresh token is unknown, expired, revoked, or was used before."""

    keeps_work = True  # reuse of a token ends its session

    def __init__(self) -> None:
        super().__init__("The refresh token is not valid. Sign in again.")


class InvalidMailedToken(Unprocessable):
    """The token is invalid, has been used or replaced by a newer one, or has expired."""

    def __init__(self) -> None:
        super().__init__("The link is no longer valid. Request a new one.")


class SessionNotFound(NotFound):
    """The caller has no such session."""

    def __init__(self) -> None:
        super().__init__("There is no such session.")
