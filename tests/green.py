"""What passed on the same files is skipped, on a developer's machine only."""

import hashlib
import os
from collections.abc import Iterable

import pytest

from tests.combinations import ROOT

GREEN = ROOT / "build" / "green"
ALWAYS = {"CI", "REQUIRE_SERVERS"}


def digest(contents: Iterable[tuple[str, bytes]]) -> str:
    """A hash of files: their names, and what is in them."""
    found = hashlib.sha256()
    for name, content in contents:
        found.update(f"{name}\0{len(content)}\0".encode() + content)
    return found.hexdigest()


def skip_if_green(name: str, now: str) -> None:
    """Skip the test if it passed before on files with this digest."""
    green = GREEN / name
    if not os.environ.keys() & ALWAYS and green.is_file() and green.read_text("utf-8") == now:
        pytest.skip("it passed on the same tree: `make clean` forgets that")


def remember(name: str, now: str) -> None:
    """The test has passed on files with this digest."""
    (GREEN / name).parent.mkdir(parents=True, exist_ok=True)
    (GREEN / name).write_text(now, encoding="utf-8")
