"""A built site, as a reader's browser sees it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LEADING = {"a": "href", "img": "src", "link": "href", "script": "src", "source": "src"}
"""The attribute that leads somewhere, by tag."""


@dataclass
class Page(HTMLParser):
    """The anchors of a page, and what it leads to."""

    anchors: set[str] = field(default_factory=set)
    links: list[tuple[str, str]] = field(default_factory=list)
    """Tag and address of each."""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note them."""
        given = dict(attrs)
        self.anchors |= {given[name] or "" for name in ("id", "name") if name in given}
        address = given.get(LEADING.get(tag, ""))
        if address:
            self.links.append((tag, address))


def pages(site: Path) -> dict[Path, Page]:
    """Every page of a site."""
    found: dict[Path, Page] = {}
    for path in sorted(site.rglob("*.html")):
        found[path] = Page()
        found[path].feed(path.read_text(encoding="utf-8"))
    return found


def target(site: Path, page: Path, path: str) -> Path:
    """The file that a path leads to, from this page."""
    if not path:
        return page
    start = site if path.startswith("/") else page.parent
    found = (start / unquote(path).lstrip("/")).resolve()
    return found / "index.html" if found.is_dir() else found


def broken(site: Path) -> Iterator[str]:
    """The links within the site that lead nowhere."""
    found = pages(site)
    for page, read in found.items():
        for _, address in read.links:
            split = urlsplit(address)
            if split.scheme or split.netloc:
                continue
            leads_to = target(site, page, split.path)
            anchor = unquote(split.fragment)
            if not leads_to.is_file():
                yield f"{page.relative_to(site)}: {address}"
            elif anchor and leads_to in found and anchor not in found[leads_to].anchors:
                yield f"{page.relative_to(site)}: no anchor {address}"


def loaded_from_elsewhere(site: Path) -> Iterator[str]:
    """What a page loads from other hosts."""
    for page, read in pages(site).items():
        for tag, address in read.links:
            if tag != "a" and urlsplit(address).netloc:
                yield f"{page.relative_to(site)}: {address}"
