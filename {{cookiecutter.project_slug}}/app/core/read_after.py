"""Clients see at once what they wrote, although replicas lag: for some seconds, they are answered by the primary.

What wrote something is answered with a mark, as a cookie and as a header; requests that present either are marked. A
mark says nothing but until when, so one that is copied or repeated costs no more than reading from the primary.
"""

import base64
import hmac
from collections.abc import Sequence
from math import ceil
from time import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.db.freshness import Freshness, freshness
from app.core.settings import Settings

HEADER, COOKIE = "Read-After", "read_after"
READING = {"GET", "HEAD"}
LONGEST = 64


def signed(until: float, key: str) -> str:
    """The mark of a client that has written something."""
    text = str(ceil(until * 1000))
    return f"{text}.{signature(text, key)}"


def is_marked(mark: str, keys: Sequence[str], now: float) -> bool:
    """Whether a mark is one of ours, and has not expired."""
    text, _, given = mark[:LONGEST].partition(".")
    ours = any(hmac.compare_digest(given.encode(), signature(text, key).encode()) for key in keys)
    return ours and now * 1000 < int(text)


def signature(text: str, key: str) -> str:
    """Proof that a mark is ours."""
    digest = hmac.digest(key.encode(), b"read-after:" + text.encode(), "sha256")
    return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")


def marks(headers: Headers) -> list[str]:
    """What a request presents."""
    cookies = [cookie_parser(each).get(COOKIE, "") for each in headers.getlist("cookie")]
    return [*headers.getlist(HEADER), *cookies]


class ReadAfterWrite:
    """Says of each request whether replicas may answer it, and marks the response to one that wrote."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.seconds = settings.database_read_after_seconds
        secure = "; Secure" if settings.deployed else ""
        self.attributes = f"; Max-Age={ceil(self.seconds)}; Path=/; HttpOnly; SameSite=Lax{secure}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        keys: Sequence[str] = scope["state"]["service"].keys
        presented = filter(None, marks(Headers(scope=scope)))
        found = Freshness(
            only_reads=scope["method"] in READING,
            recent=any(is_marked(each, keys, time()) for each in presented),
        )

        async def mark(message: Message) -> None:
            if found.wrote and message["type"] == "http.response.start":
                text = signed(time() + self.seconds, keys[0])
                headers = MutableHeaders(scope=message)
                headers[HEADER] = text
                headers.append("Set-Cookie", f"{COOKIE}={text}{self.attributes}")
            await send(message)

        token = freshness.set(found)
        try:
            await self.app(scope, receive, mark)
        finally:
            freshness.reset(token)
