"""Calls to other services: with a deadline, retries, a circuit breaker and a bulkhead for each destination."""

import asyncio
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from app.core.outbound.destinations import Anywhere, Call, Destination, Watch

if TYPE_CHECKING:
    from httpx2 import Response

    from app.core.outbound.sending import Sender

__all__ = ["Anywhere", "Destination", "Outbound", "Watch"]


def demand_sendable(destination: Destination, headers: Mapping[str, str]) -> None:
    """Refuse what would end a header, or cannot be sent in one, before it is taken for a fault of the destination."""
    for name, text in headers.items():
        if not (text.isascii() and text.isprintable()):
            raise ValueError(
                f"{destination.name}: the header {name} must be printable ASCII; encode or refuse what users give"
            )


class Outbound:
    """What a service calls others with; nothing is imported or opened before the first call."""

    def __init__(self, *, deployed: bool, watches: Sequence[Watch] = ()) -> None:
        self.deployed = deployed
        self.watches = watches
        self.opening = asyncio.Lock()
        self.sender: Sender | None = None

    async def call(
        self,
        destination: Destination,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str | int] | None = None,
        json: Any = None,  # noqa: ANN401
        content: bytes | None = None,
    ) -> "Response":
        """The response, read completely, if its status is below 500 and not 429; raise `OutboundFailed` otherwise.

        `path` follows the base URL of the destination; of `Anywhere` it is the whole URL.
        """
        sender = self.sender or await self.open()
        given = [*destination.headers.items(), *(headers or {}).items()]
        sent = {name.lower(): text for name, text in given}
        demand_sendable(destination, sent)
        body = {"params": params, "json": json, "content": content}
        return await sender.call(Call(destination, method, destination.url(path), sent, body))

    async def open(self) -> "Sender":
        """Import the client, off the event loop, as it takes long."""
        async with self.opening:
            if self.sender is None:
                sending = await asyncio.to_thread(import_module, "app.core.outbound.sending")
                self.sender = await asyncio.to_thread(sending.Sender, self.deployed, self.watches)
        return cast("Sender", self.sender)

    async def close(self) -> None:
        """Close the connections."""
        if self.sender:
            await self.sender.close()
