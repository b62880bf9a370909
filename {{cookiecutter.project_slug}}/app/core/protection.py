"""What protects the readers of responses: headers for browsers, and the names of the service."""

import re
from collections.abc import Iterable
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.status import WS_1008_POLICY_VIOLATION
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from app.core.errors import Failure
from app.core.settings import Settings

LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}
PORT = re.compile(r":[0-9]*$")
PROTECTION = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers of each response that does not set them itself: right for an API, which no page loads or frames."""


def transport(settings: Settings) -> dict[str, str]:
    """The header by which browsers use nothing but TLS from then on, where the service is deployed."""
    if not (settings.deployed and settings.hsts_seconds):
        return {}
    return {"Strict-Transport-Security": f"max-age={settings.hsts_seconds}"}


class UnknownHost(Failure):
    """The request names a host that this service does not serve."""

    status = HTTPStatus.MISDIRECTED_REQUEST

    def __init__(self) -> None:
        super().__init__("The host name is not allowed. Its operator can add it to ALLOWED_HOSTS.")


class KnownHosts:
    """Refuse requests to names that are not the service's own: a page on another name could read the responses."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self.app = app
        self.names = {host.lower() for host in hosts} | LOOPBACK
        self.endings = tuple(name[1:] for name in self.names if name.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self.knows(Headers(scope=scope)):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocketClose(code=WS_1008_POLICY_VIOLATION)(scope, receive, send)
        else:
            raise UnknownHost

    def knows(self, headers: Headers) -> bool:
        """Whether each `Host` is one of the names."""
        named = [PORT.sub("", host).lower() for host in headers.getlist("host")]
        return bool(named) and all(
            host in self.names or host.endswith(self.endings) for host in named
        )
