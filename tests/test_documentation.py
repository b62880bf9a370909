"""The documentation is complete, and builds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.template import ROOT, run


def pages(navigation: Any) -> Iterator[str]:  # noqa: ANN401, lists and mappings as deep as they go
    """The pages that the navigation leads to."""
    if isinstance(navigation, str):
        yield navigation
    else:
        for each in navigation.values() if isinstance(navigation, dict) else navigation:
            yield from pages(each)


def test_the_navigation_leads_to_every_page() -> None:
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    there = {path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.*")}

    assert sorted(pages(navigation)) == sorted(there)


def test_it_builds_without_a_warning(own_template: Path) -> None:
    run("make", "docs", cwd=own_template)

    assert (own_template / "site/index.html").is_file()
    assert (own_template / "site/adr/0001-one-tree-both-engines/index.html").is_file()
