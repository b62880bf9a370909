"""Bodies that are too large are refused, so that the client sees it."""

import asyncio
from contextlib import suppress

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

READ_AT_MOST = 8
"""How many times the limit of an oversized body is read, for clients that send before they read."""
READ_SECONDS = 5.0
"""How long reading it may take."""


class BodyLimit:
    """Refuse a body of more than `limit` bytes, announced or not.

    A connection closed with unread bytes is reset, and a client that sends everything before it reads
    would never see the response. So the rest of the body is read first, within limits.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        announced = headers.get(b"content-length", b"")
        if announced.isdigit() and int(announced) > self.limit:
            # Reading would invite a client that asks first (`Expect: 100-continue`) to send.
            read = b"expect" not in headers and int(announced) <= READ_AT_MOST * self.limit
            raise self.refusal(close=not (read and await self.drain(receive, 0)))
        received = 0

        async def count() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.limit:
                ended = not message.get("more_body") or await self.drain(receive, received)
                raise self.refusal(close=not ended)
            return message

        await self.app(scope, count, send)

    async def drain(self, receive: Receive, received: int) -> bool:
        """Read and discard the rest; returns whether the body ended within the limits."""
        with suppress(TimeoutError):
            async with asyncio.timeout(READ_SECONDS):
                while received <= READ_AT_MOST * self.limit:
                    message = await receive()
                    received += len(message.get("body", b""))
                    if not message.get("more_body"):
                        return True
        return False

    def refusal(self, *, close: bool) -> HTTPException:
        """The error to raise; FastAPI lets no other exception escape from reading a body."""
        headers = {"Connection": "close"} if close else None
        return HTTPException(413, f"The body is larger than {self.limit} bytes.", headers)
