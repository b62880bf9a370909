"""How a mailed token is redeemed: by users on a web page, by developers in a terminal."""

import json
from dataclasses import dataclass
from shlex import quote

from app.core.routing import API_PREFIX
from app.core.security.access import LOGIN
from app.core.settings import Environment, Settings

PASSWORD = "<password>"  # noqa: S105, a placeholder
ACCESS_TOKEN = r"""sed 's/.*"access_token":"\([^"]*\)".*/\1/'"""  # noqa: S105, finds one


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    """The page that a link opens, and the endpoint that the page calls."""

    page: str
    path: str
    takes_password: bool = False
    signed_in: bool = False
    """Whether the endpoint requires the recipient's login."""

    def link(self, settings: Settings, token: str) -> str:
        """The link for users. What follows the `#` stays in the browser, and out of server logs."""
        return f"{settings.public_url.rstrip('/')}/{self.page}#token={token}"

    def command(self, settings: Settings, token: str, email: str) -> str:
        """The command for developers, who may have no such page yet; empty outside `local`."""
        if settings.environment is not Environment.LOCAL:
            return ""
        service = settings.service_url.rstrip("/")
        body = {"token": token} | ({"password": PASSWORD} if self.takes_password else {})
        parts = ["curl -i", quote(f"{service}{API_PREFIX}{self.path}")]
        if self.signed_in:
            form = [
                f"--data-urlencode {quote(each)}"
                for each in (f"username={email}", f"password={PASSWORD}")
            ]
            login = f"curl -s {quote(service + LOGIN)} {' '.join(form)} | {ACCESS_TOKEN}"
            parts.append(f'-H "Authorization: Bearer $({login})"')
        parts.append(f"-H 'Content-Type: application/json' -d {quote(json.dumps(body))}")
        return " ".join(parts)
