"""The documentation is complete, builds, leads where it says, and is legible on a phone."""

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from tests.browser import browsing
from tests.site import broken, loaded_from_elsewhere
from tests.template import ROOT, export, run

PHONE = {"width": 390, "height": 844}
LOOKED_AT = [
    "",
    "comparison/",
    "explanation/architecture/",
    "performance/",
    "reference/cli/",
    "reference/http/",
    "reference/metrics/",
    "reference/options/",
    "reference/problems/",
    "reference/problems/validation-error/",
    "reference/settings/",
]
"""Pages with wide content: tables, long lines of code, drawings."""


def pages(navigation: Any) -> Iterator[str]:  # noqa: ANN401, lists and mappings as deep as they go
    """The pages that the navigation leads to."""
    if isinstance(navigation, str):
        yield navigation
    else:
        for each in navigation.values() if isinstance(navigation, dict) else navigation:
            yield from pages(each)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    template = export(tmp_path_factory.mktemp("documentation"))
    run("make", "docs", cwd=template)
    return template / "site"


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where it is served."""
    handler = partial(QuietHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files, and logs nothing."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002, its name
        """Log nothing."""


def test_the_navigation_leads_to_every_page() -> None:
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    there = {path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.md")}

    assert sorted(pages(navigation)) == sorted(there)


def test_it_builds_without_a_warning(site: Path) -> None:
    assert (site / "index.html").is_file()
    assert (site / "adr/0001-one-tree-both-engines/index.html").is_file()


def test_every_link_within_it_leads_somewhere(site: Path) -> None:
    assert list(broken(site)) == []


def test_it_loads_nothing_from_other_hosts(site: Path) -> None:
    assert list(loaded_from_elsewhere(site)) == []


def test_it_fits_a_phone_and_can_be_searched(address: str, tmp_path: Path) -> None:
    with browsing(tmp_path / "profile") as browser:
        page = browser.page
        page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        for path in LOOKED_AT:
            page.goto(address + path)
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= PHONE["width"], f"{path} is {width} pixels wide"
        page.keyboard.press("/")
        page.keyboard.type("DATABASE_POOL_SIZE")
        page.get_by_role("link").filter(has_text="Settings").first.wait_for()

    assert browser.hosts <= {"127.0.0.1"}
    assert browser.complaints == []
