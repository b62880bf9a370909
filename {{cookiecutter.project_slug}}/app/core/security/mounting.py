"""Applications mounted by features, with the same access control as endpoints."""

from collections.abc import Sequence
from typing import cast

from fastapi import Request
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from app.core.admission import admit
from app.core.errors import Failure, render
from app.core.routing import ABOUT, Mount
from app.core.security.access import anyone, authorize


class Guarded:
    """Admits the callers that the mount's `access` allows; others get a problem document."""

    def __init__(self, mount: Mount) -> None:
        if not callable(getattr(mount.access, "dependency", None)):
            raise TypeError(f"{mount.path}: set `public`, `signed_in` or `Can(...)` as its access")
        self.mount = mount
        self.public = mount.access.dependency is anyone
        self.scopes: Sequence[str] = getattr(mount.access, "scopes", None) or ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[ABOUT] = self.mount.about
        try:
            connection = HTTPConnection(scope)
            await (admit(connection, None) if self.public else authorize(connection, self.scopes))
        except Failure as failure:
            response = await render(cast("Request", HTTPConnection(scope)), failure)
            await response(scope, receive, send)
            return
        await self.mount.app(scope, receive, send)
