"""Limits on the head of a request, the request line and its headers, which no application sees before it is complete.

The rest is uvicorn's; servers in front of this one have such limits too.
"""

import asyncio
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST = 64 * 1024
"""How many bytes an incomplete head may have."""
SECONDS = 10.0
"""How long a connection may take to send one."""


class BoundedHead(HttpToolsProtocol):
    """Closes connections whose requests begin too slowly, or never end to begin."""

    received = 0
    """Bytes of the incomplete head."""
    incomplete = False
    late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect the first request."""
        super().connection_made(transport)
        self.late = self.loop.call_later(SECONDS, self.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        self.expect_no_more()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A head begins."""
        self.incomplete = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """It is complete."""
        self.incomplete = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Count what does not complete a head; heads usually arrive whole."""
        super().data_received(data)
        if not self.incomplete or self.transport.is_closing():
            if self.late:
                self.expect_no_more()
            return
        self.received += len(data)
        if self.received > LARGEST:
            self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self.received == len(data):
            self.expect_no_more()
            self.received = len(data)
            self.late = self.loop.call_later(SECONDS, self.refuse, HTTPStatus.REQUEST_TIMEOUT)

    def expect_no_more(self) -> None:
        """Stop counting."""
        self.received = 0
        if self.late:
            self.late.cancel()
            self.late = None

    def refuse(self, status: HTTPStatus) -> None:
        """Answer, unless a response is being sent, and close the connection."""
        if not self.cycle or self.cycle.response_complete:
            self.transport.write(
                f"HTTP/1.1 {status.value} {status.phrase}\r\n"
                "content-length: 0\r\nconnection: close\r\n\r\n".encode()
            )
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.incomplete = False
        self.expect_no_more()
        self.transport.close()
