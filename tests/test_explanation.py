"""What the explanations, the answers and the guide to moving name exists."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.template import HOUSE, ROOT

DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("explanation/*.md")), DOCS / "faq.md", DOCS / "moving.md"]
FOLDERS = ("app", "benchmarks", "deploy", "docs", "migrations", "tests")
# What readers have, or write themselves.
NOT_THERE = re.compile(r"[<*]|app/features/notes|app\.state")
OTHERS = {"moving.md"}
"""Pages that name settings of other projects."""


def named(page: Path) -> Iterator[str]:
    """What a page names as code, outside of blocks."""
    text = re.sub(r"(?ms)^```.*?^```$", "", page.read_text(encoding="utf-8"))
    yield from re.findall(r"`([^`\n]+)`", text)


def is_there(name: str) -> bool:
    """Whether this file, or this test, is in the generated project or in the template."""
    path, _, test = name.partition("::")
    found = [root / path for root in (HOUSE, ROOT) if (root / path).exists()]
    return any(not test or f"def {test}(" in each.read_text(encoding="utf-8") for each in found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_files_and_tests_exist(page: Path) -> None:
    paths = [each for each in named(page) if each.startswith(tuple(f"{name}/" for name in FOLDERS))]

    assert [each for each in paths if not NOT_THERE.search(each) and not is_there(each)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_settings_exist(page: Path) -> None:
    known = (HOUSE / ".env.example").read_text(encoding="utf-8")
    wanted = {each for each in named(page) if re.fullmatch(r"[A-Z]+(_[A-Z]+)+", each)}

    assert page.name in OTHERS or [each for each in wanted if f"# {each}=" not in known] == []


def test_each_field_of_a_feature_is_explained() -> None:
    source = (HOUSE / "app/core/feature.py").read_text(encoding="utf-8")
    (feature,) = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and node.name == "Feature"
    ]
    fields = {
        each.target.id
        for each in feature.body
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    }

    assert fields <= set(named(DOCS / "explanation/architecture.md"))
