"""URLs that come from users must not lead into the network of the service (SSRF)."""

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from socket import SOCK_STREAM, getaddrinfo
from urllib.parse import urljoin

from httpx2 import (
    URL,
    AsyncHTTPTransport,
    ConnectError,
    ConnectTimeout,
    InvalidURL,
    Request,
    Response,
)

from app.core.outbound.destinations import Anywhere
from app.core.outbound.failures import UrlRefused

Address = IPv4Address | IPv6Address

ALLOWED = "app.allowed"
"""The extension of a request that names further networks."""
PUBLIC_IPV6 = ip_network("2000::/3")
# The special-purpose registries of IANA, as Python's own `is_global` differs from version to version.
SPECIAL = [
    ip_network(each)
    for each in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        "168.63.129.16/32",  # of Azure, for its virtual machines only
        *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        # Teredo and others, documentation, 6to4; what is mapped or translated is outside 2000::/3.
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
]
NAMES = ThreadPoolExecutor(8, "names")
"""Slow name servers of strangers hold these threads, and not those that the rest of the process shares."""
DEFAULT_PORTS = {"http": 80, "https": 443}


def is_public(address: Address) -> bool:
    """Whether it belongs to a single server on the internet."""
    if address.version == PUBLIC_IPV6.version and address not in PUBLIC_IPV6:
        return False
    return not any(address in network for network in SPECIAL)


def checked(url: str, destination: Anywhere, *, deployed: bool, base: str = "") -> URL:
    """The URL, if it may be called at all; its address is checked when it is connected to."""
    try:
        parsed = URL(urljoin(base, url))
        host = parsed.host
    except (InvalidURL, UnicodeError, ValueError):
        raise UrlRefused("it is malformed") from None
    schemes = ["https"] if deployed and not destination.plain else ["https", "http"]
    if parsed.scheme not in schemes:
        raise UrlRefused(f"it must begin with {' or '.join(f'{each}://' for each in schemes)}")
    if not host or parsed.userinfo:
        raise UrlRefused("it must have a host, and no user or password")
    if (parsed.port or DEFAULT_PORTS[parsed.scheme]) not in destination.ports:
        raise UrlRefused(f"its port must be {' or '.join(map(str, destination.ports))}")
    return parsed


async def resolved(host: str, port: int, allowed: Iterable[str]) -> list[str]:
    """The addresses of a host, all of which must be public, or in the allowed networks."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.run_in_executor(
            NAMES, partial(getaddrinfo, host, port, type=SOCK_STREAM)
        )
    except (OSError, UnicodeError):
        raise UrlRefused("its host has no address") from None
    addresses = [str(each[4][0]) for each in found]
    networks = [ip_network(each) for each in allowed]
    for address in map(ip_address, addresses):
        if not is_public(address) and not any(address in network for network in networks):
            raise UrlRefused("its host has an address that is not public")
    return addresses


class Guarded(AsyncHTTPTransport):
    """Connects to the very addresses that were checked: another answer of the name server changes nothing."""

    async def handle_async_request(self, request: Request) -> Response:
        """Send it to the first address that can be connected to; TLS still verifies the name."""
        url = request.url
        failed: ConnectError | ConnectTimeout = ConnectError("no address")
        port = url.port or DEFAULT_PORTS[url.scheme]
        for address in await resolved(
            url.raw_host.decode(), port, request.extensions.get(ALLOWED, ())
        ):
            pinned = Request(
                request.method,
                url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": url.raw_host.decode()},
            )
            try:
                return await super().handle_async_request(pinned)
            except (ConnectError, ConnectTimeout) as error:
                failed = error
        raise failed
