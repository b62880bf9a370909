"""How signing in can fail."""

from app.core.errors import NotFound, Unauthorized, Unprocessable


class WrongCredentials(Unauthorized):
    """No active, verified account has this address and this password; what is wrong, nobody is told."""

    keeps_work = True  # the attempt is on record

    def __init__(self) -> None:
        super().__init__(
            "The e-mail address or the password is wrong, or the address is not verified yet."
        )


class InvalidRefreshToken(Unauthorized):
    """The refresh token is unknown, expired, revoked, or was used before."""

    keeps_work = True  # a token used twice ends its session

    def __init__(self) -> None:
        super().__init__("The refresh token is not valid. Sign in again.")


class InvalidMailedToken(Unprocessable):
    """The token was mistyped, used, replaced by a newer one, or has expired."""

    def __init__(self) -> None:
        super().__init__("The link is not valid any more. Ask for a new one.")


class SessionNotFound(NotFound):
    """The caller has no such session."""

    def __init__(self) -> None:
        super().__init__("There is no such session.")
