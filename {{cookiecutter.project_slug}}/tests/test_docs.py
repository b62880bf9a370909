"""The documentation page is self-hosted, and can be switched off."""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from html.parser import HTMLParser
from urllib.parse import urljoin

import pytest
from httpx2 import AsyncClient

from app.core.db.session import Database
from app.core.settings import Environment, Settings
from app.main import create_app
from conftest import client_of

Serve = Callable[..., Awaitable[AsyncClient]]
ELSEWHERE = [each for each in Environment if each is not Environment.LOCAL]


@pytest.fixture
async def serve(database: Database, settings: Settings) -> AsyncGenerator[Serve]:
    """A client of the service with other settings."""
    async with AsyncExitStack() as stack:

        async def make(**changes: object) -> AsyncClient:
            changed = settings.model_copy(update=changes)
            client = client_of(create_app(changed), database, changed)
            return await stack.enter_async_context(client)

        yield make


class Links(HTMLParser):
    """What a page loads, and whether it has scripts of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.found += [named[name] or "" for name in ("src", "href") if name in named]
        self.inline += [name for name in named if name.startswith("on") or name == "style"]
        if tag == "style" or (tag == "script" and "src" not in named):
            self.inline.append(tag)


async def test_the_page_loads_nothing_from_elsewhere(client: AsyncClient) -> None:
    page = await client.get("/docs")
    links = Links()
    links.feed(page.text)

    assert page.headers["Content-Security-Policy"].startswith("default-src 'self';")
    assert links.inline == []
    assert len(links.found) == 4
    for link in links.found:
        assert not re.match(r"/|[a-z]+:", link), "only what is relative works under any prefix"
        assert (await client.get(urljoin("/docs", link))).status_code == 200
    document = re.search('data-document="([^"]*)"', page.text)
    assert document
    assert not document[1].startswith("/")
    assert (await client.get(urljoin("/docs", document[1]))).json()["openapi"].startswith("3.1")


async def test_the_page_can_show_the_version_of_the_document(client: AsyncClient) -> None:
    """Swagger UI 4 could not, and most packages contain that."""
    script = (await client.get("/docs/swagger-ui-bundle.js")).text

    assert re.search(r'PACKAGE_VERSION:"5\.', script)


async def test_a_file_that_has_not_changed_is_not_sent_again(client: AsyncClient) -> None:
    first = await client.get("/docs/swagger-ui.css")
    again = await client.get(
        "/docs/swagger-ui.css", headers={"If-None-Match": first.headers["ETag"]}
    )

    assert first.headers["Cache-Control"] == "no-cache"
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["__init__.py", "page.html", "..%2fpage.html", "nothing"])
async def test_nothing_else_lies_there(client: AsyncClient, name: str) -> None:
    assert (await client.get(f"/docs/{name}")).status_code == 404


async def test_the_title_is_text(serve: Serve) -> None:
    client = await serve(project_name="Nuts & <b>Bolts</b>")

    assert "<title>Nuts &amp; &lt;b&gt;Bolts&lt;/b&gt;</title>" in (await client.get("/docs")).text


async def test_page_and_document_can_be_switched_off(serve: Serve) -> None:
    client = await serve(api_docs=False, environment=Environment.LOCAL)

    for path in ("/docs", "/docs/swagger-ui.css", "/api/v1/openapi.json", "/"):
        assert (await client.get(path)).status_code == 404, path
    assert (await client.get("/health/live")).status_code == 200


async def test_the_bare_address_leads_to_the_page_while_developing(serve: Serve) -> None:
    client = await serve(environment=Environment.LOCAL)

    answer = await client.get("/")

    assert (answer.status_code, answer.headers["Location"]) == (307, "docs")
    assert "/" not in (await client.get("/api/v1/openapi.json")).json()["paths"]


@pytest.mark.parametrize("environment", ELSEWHERE)
async def test_elsewhere_the_bare_address_is_nothing(
    serve: Serve, environment: Environment
) -> None:
    client = await serve(environment=environment)

    assert (await client.get("/")).status_code == 404
