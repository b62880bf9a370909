"""URLs that users give lead to public servers only (SSRF), whatever they are written like."""

import ssl
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from httpx2 import Request, Response

from app.core.correlation import correlation_id
from app.core.outbound import Anywhere, Outbound, guard
from app.core.outbound.failures import (
    DestinationFailed,
    DestinationTooSlow,
    ResponseTooLarge,
    UrlRefused,
)
from app.core.outbound.guard import is_public
from tests.certificates import self_signed
from tests.partners import Partner, bomb, drip, flood, metric, reply

LOOPBACK = ("127.0.0.0/8",)


@pytest.fixture
async def partner() -> AsyncGenerator[Partner]:
    """A server on this machine, which no user's URL must reach."""
    partner = Partner(reply(200, b"secret"))
    async with partner.listening():
        yield partner


def anywhere(partner: Partner, **changes: Any) -> Anywhere:  # noqa: ANN401
    """URLs of users, on the port of that server."""
    options: dict[str, Any] = {"ports": (partner.port,), "timeout_seconds": 5.0, **changes}
    return Anywhere(name=uuid4().hex, **options)


LOCAL = [
    *("xn--a..test", "-.xn--a.test", "168.63.129.16"),
    *("127.0.0.1", "127.1", "127.0.1", "0x7f000001", "0x7f.1", "2130706433", "0", "0.0.0.0"),  # noqa: S104
    *("localhost", "LOCALHOST", "localhost.", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]"),
    *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]"),
    *("[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2001:0:4136:e378:8000:63bf:80ff:fffe]"),
    *("０x7f000001", "①②⑦.⓪.⓪.①", "１２７.0.0.1", "127。0。0。1", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "0177.0.0.1"),  # noqa: RUF001
    *("127.0.0.1%00.example.com", "127.0.0.1\t", "[fe80::1%25lo]", "[::1%25lo]", ""),
]


@pytest.mark.parametrize("host", LOCAL)
async def test_no_spelling_of_this_machine_is_reached(
    partner: Partner, outbound: Outbound, host: str
) -> None:
    destination = anywhere(partner)
    with pytest.raises(UrlRefused):
        await outbound.call(destination, "GET", f"http://{host}:{partner.port}/")

    assert partner.connections == 0
    count = metric("outbound_attempts_total", destination=destination.name, outcome="refused")
    assert count in {0, 1}


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "gopher://example.com/", "ftp://example.com/", "//example.com/"),
        *("http://user:secret@example.com/", "http://user@example.com/", "http://example.com\\@x/"),
        *("http://example.com:22/", "http://example.com:0/", "http://example.com:99999/"),
        *("http://exa\nmple.com/", "http://[::1/", "http://", "", "/", "http:example.com", "\0"),
    ],
)
async def test_what_is_no_public_web_address_is_refused(outbound: Outbound, url: str) -> None:
    with pytest.raises(UrlRefused) as refused:
        await outbound.call(Anywhere(name="odd"), "GET", url)

    assert refused.value.status == 422
    assert refused.value.detail.startswith("The URL is not allowed: ")


async def test_where_it_is_deployed_a_users_url_is_encrypted() -> None:
    for url, plain, message in (
        ("http://localhost/", False, "must begin with https://"),
        ("http://localhost/", True, "not public"),
        ("https://localhost/", False, "not public"),
    ):
        deployed = Outbound(deployed=True)
        with pytest.raises(UrlRefused, match=message):
            await deployed.call(Anywhere(name="plain", plain=plain), "GET", url)
        await deployed.close()


def test_only_public_addresses_are_public() -> None:
    private = (
        *("0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.9.9.9", "169.254.169.254"),
        *("172.16.0.1", "172.31.255.255", "192.0.0.170", "192.0.2.1", "192.88.99.1", "192.168.1.1"),
        *("198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1"),
        *("255.255.255.255", "::", "::1", "::ffff:8.8.8.8", "::8.8.8.8", "64:ff9b::8.8.8.8"),
        *(
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:808:808::",
            "3fff::1",
            "5f00::1",
        ),
        *("fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1"),
    )
    public = ("8.8.8.8", "100.63.255.255", "172.32.0.1", "192.0.1.1", "2606:4700::1", "2a00::1")

    assert [each for each in private if is_public(ip_address(each))] == []
    assert [each for each in public if not is_public(ip_address(each))] == []


async def test_the_address_that_was_checked_is_the_one_that_is_called(
    partner: Partner, outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that gives an allowed address first, and another then."""
    answers = ["127.0.0.1", "127.0.0.2"]
    asked = list[str]()

    def rebinding(host: str, port: int, **_: object) -> Sequence[Any]:
        asked.append(host)
        return [(0, 0, 0, "", (answers[len(asked) - 1], port))]

    monkeypatch.setattr(guard, "getaddrinfo", rebinding)
    url, destination = f"http://rebinding.example:{partner.port}/", anywhere(partner)
    destination = replace(destination, networks=("127.0.0.1/32",))

    await outbound.call(destination, "GET", url)
    assert asked == ["rebinding.example"]
    assert partner.asked[0].headers["host"] == f"rebinding.example:{partner.port}"

    with pytest.raises(UrlRefused):
        await outbound.call(destination, "GET", url)
    assert partner.connections == 1


def named(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Every name has these addresses."""

    def resolve(host: str, port: int, **_: object) -> Sequence[Any]:
        return [(0, 0, 0, "", (each, port)) for each in addresses]

    monkeypatch.setattr(guard, "getaddrinfo", resolve)


async def test_one_address_that_is_not_public_is_one_too_many(
    partner: Partner, outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    named(monkeypatch, "8.8.8.8", "127.0.0.1")
    with pytest.raises(UrlRefused):
        await outbound.call(anywhere(partner), "GET", f"http://two.example:{partner.port}/")
    assert partner.connections == 0


async def test_tls_verifies_the_name_although_an_address_is_connected_to(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pem = self_signed("shop.example", tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem)
    names = list[str | None]()
    tls.sni_callback = lambda _, name, __: names.append(name)
    partner, trusting = Partner(reply()), ssl.create_default_context(cafile=pem)
    monkeypatch.setattr("app.core.outbound.sending.create_ssl_context", lambda: trusting)
    async with partner.listening(tls):
        named(monkeypatch, "127.0.0.1")
        destination = anywhere(partner, networks=LOOPBACK)
        url = f"https://shop.example:{partner.port}/x"
        response = await outbound.call(destination, "GET", url)
        with pytest.raises(DestinationFailed):
            await outbound.call(destination, "GET", url.replace("shop", "other"))

    assert str(response.url) == url
    assert names == ["shop.example", "other.example"]
    assert [asked.headers["host"] for asked in partner.asked] == [f"shop.example:{partner.port}"]


async def test_each_redirect_is_checked_too(partner: Partner, outbound: Outbound) -> None:
    here = f"http://127.0.0.1:{partner.port}"
    destination = anywhere(partner, networks=("127.0.0.1/32",))
    for target in (
        f"http://127.0.0.2:{partner.port}/",
        "http://169.254.169.254/",
        "file:///x",
        "http://[",
        "//x:y/",
    ):
        partner.script = [reply(302, Location="/next"), reply(302, Location=target)]
        with pytest.raises(UrlRefused):
            await outbound.call(destination, "GET", f"{here}/")
    assert [asked.path for asked in partner.asked] == 5 * ["/", "/next"]

    partner.script = [reply(302, Location="/next"), reply(307, Location=f"{here}/last")]
    response = await outbound.call(destination, "GET", f"{here}/")
    assert (response.status_code, str(response.url)) == (200, f"{here}/last")

    partner.usual = reply(302, Location="/")
    partner.asked.clear()
    assert (await outbound.call(destination, "GET", f"{here}/")).status_code == 302
    assert len(partner.asked) == 4
    assert (await outbound.call(destination, "POST", f"{here}/")).status_code == 302
    assert len(partner.asked) == 5


async def test_another_origin_is_given_no_credentials(partner: Partner, outbound: Outbound) -> None:
    other = Partner(reply())
    async with other.listening():
        partner.script = [
            reply(302, Location="/same", Set_Cookie="a=b"),
            reply(302, Location=other.url),
        ]
        destination = anywhere(partner, ports=(partner.port, other.port), networks=LOOPBACK)
        secrets = {"Authorization": "Bearer x", "Cookie": "a=b", "X-Api-Key": "y", "Accept": "a/b"}
        await outbound.call(destination, "GET", partner.url, headers=secrets)

    assert partner.asked[1].headers["authorization"] == "Bearer x"
    left = other.asked[0].headers
    assert left["accept"] == "a/b"
    assert left.keys().isdisjoint({"authorization", "cookie", "x-api-key", "referer"})


@contextmanager
def tracing(request: Request) -> Generator[Callable[[Response], None]]:
    """Adds a header to each request."""
    request.headers["Traceparent"] = "00-1-1-01"

    def see(response: Response) -> None:
        assert response.status_code == 200

    yield see


async def test_strangers_see_nothing_of_the_service(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a proxy see what is asked of them."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    outbound = Outbound(deployed=False, watches=[tracing])
    token = correlation_id.set("order-4711")
    await outbound.call(anywhere(partner, networks=LOOPBACK), "GET", partner.url)
    correlation_id.reset(token)
    await outbound.close()

    assert partner.asked[0].headers.keys() == {
        *("host", "accept", "accept-encoding", "connection", "user-agent"),
    }


async def test_what_strangers_answer_is_bounded_in_size_and_time(
    partner: Partner, outbound: Outbound
) -> None:
    destination = anywhere(partner, networks=LOOPBACK, timeout_seconds=2)
    for answer in (flood, bomb(1), bomb(2)):
        partner.usual = answer
        with pytest.raises(ResponseTooLarge):
            await outbound.call(destination, "GET", partner.url)
    partner.usual = drip
    with pytest.raises(DestinationTooSlow):
        await outbound.call(
            anywhere(partner, networks=LOOPBACK, timeout_seconds=0.2), "GET", partner.url
        )
