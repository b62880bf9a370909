"""A real browser that can reach only this machine."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.template import chromium

ALIAS = "service.example"
"""Another name of this machine: pages behave differently under a public name than on localhost."""
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules=MAP {ALIAS} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


@dataclass
class Browser:
    """A browser, and what it recorded."""

    page: Page
    hosts: set[str] = field(default_factory=set)
    """The hosts that it contacted."""
    complaints: list[str] = field(default_factory=list)
    """Errors and warnings on its console."""


@contextmanager
def browsing(profile: Path) -> Generator[Browser]:
    """Open a browser with a profile of its own."""
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=chromium(), headless=True, args=ARGUMENTS
        )
        try:
            yield watched(context)
        finally:
            context.close()


def watched(context: BrowserContext) -> Browser:
    """Record what happens."""
    browser = Browser(context.pages[0])
    context.on("request", lambda request: browser.hosts.add(str(urlsplit(request.url).hostname)))
    context.on("weberror", lambda problem: browser.complaints.append(str(problem.error)))

    def listen(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            browser.complaints.append(message.text)

    context.on("console", listen)
    return browser
