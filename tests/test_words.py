"""Prose uses the field's terms: docstrings, comments, messages, documentation, summaries of endpoints."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.template import HOUSE, ROOT, TOOLS, files, run

FOLDERS = [HOUSE, *(ROOT / name for name in ("benchmarks", "docs", "hooks", "tests", "tools"))]
# Lists of these words, a license, and passwords.
SKIPPED = {ROOT / "LICENSE", Path(__file__), HOUSE / "app/core/security/common_passwords.txt"}

# What must not be written, and what to write instead.
BANNED = {
    r"some(?:body|one)": "user, caller, member, client, or the passive voice",
    r"nobody": "no user, no other request, or the passive voice",
    r"whoever": "the caller, a user who, a process that, an attacker",
    r"works?\s+for|work(?:ing|ed)\s+for": "is a member of, acts in",
    r"(?<!dead )letters?": "mail, message",
    r"mighty": "over-privileged",
    r"goes\s+on": "continues",
    r"happens\s+by\s+itself": "Background jobs.",
    r"tells|told": "reports, says, notifies",
}
# On pages: what a reader notices as translated.
STILTED = {
    r"anew": "again",
    r"begun": "started",
    r"(?:is|are) answered": "gets, responds with",
    r"(?:is|are) away": "is down, unavailable",
    r"in succession": "in a row, consecutive",
    r"run one way": "point in one direction",
}
KILL = {r"kill(?:s|ed|ing)?": "revoke, terminate, cancel"}  # tests do kill processes
NOT_IN_NAMES = {r"some(?:body|one)|nobody|letters?": "a name without it"}
# Lines on which a letter is one of the alphabet, and a killed process was killed.
EXCUSED = re.compile(
    r"\b(?:accents?|capital|case|characters?|compared|digits?|equal|scripts?|small)\b|SIGKILL",
    re.IGNORECASE,
)
NOT_A_SUMMARY = {"begin", "let", "one", "one's", "what", "where", "whether", "who"}
METHODS = {"delete", "get", "patch", "post", "put"}


def pattern(banned: dict[str, str]) -> list[tuple[re.Pattern[str], str]]:
    """Whole words, in any case."""
    return [(re.compile(rf"\b(?:{each})\b", re.IGNORECASE), banned[each]) for each in banned]


EVERYWHERE, NOT_IN_TESTS = pattern(BANNED), pattern(BANNED | KILL)
ON_PAGES = pattern(BANNED | KILL | STILTED)
NAMES = pattern(NOT_IN_NAMES)


def sources() -> Iterator[Path]:
    """The files of the template that people read."""
    for folder in FOLDERS:
        yield from (folder / path for path in files(folder))
    yield from (path for path in ROOT.iterdir() if path.is_file() and path.suffix != ".lock")


def prose_of(source: str) -> Iterator[tuple[int, str]]:
    """Comments and string literals of Python, each with its line."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def names(source: str) -> Iterator[tuple[int, str]]:
    """Names of functions as words, each with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name.replace("_", " ")


def summaries(source: str) -> Iterator[tuple[int, str]]:
    """The summaries of endpoints, as the OpenAPI document shows them, each with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and any(
            isinstance(each, ast.Call)
            and isinstance(each.func, ast.Attribute)
            and each.func.attr in METHODS
            for each in node.decorator_list
        ):
            yield node.lineno, (ast.get_docstring(node) or "").partition("\n")[0]


def found(banned: list[tuple[re.Pattern[str], str]], line: int, text: str) -> Iterator[str]:
    """Each banned word of a text that starts on this line, with what to write instead."""
    for each, instead in banned:
        for match in each.finditer(text):
            start = text.rfind("\n", 0, match.start()) + 1
            if not EXCUSED.search(text[start:].partition("\n")[0]):
                yield f"{line + text.count(chr(10), 0, start)}: not {match[0]!r} but: {instead}"


def faults(path: Path) -> Iterator[str]:
    """What to change in a file."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return
    in_tests = {"tests", "conftest.py"} & set(path.relative_to(ROOT).parts)
    pages = ON_PAGES if path.suffix == ".md" else NOT_IN_TESTS
    banned = EVERYWHERE if in_tests else pages
    for line, prose in prose_of(text) if path.suffix == ".py" else [(1, text)]:
        yield from found(banned, line, prose)
    if path.suffix == ".py":
        for line, name in names(text):
            yield from found(NAMES, line, name)
    if path.name == "router.py":
        for line, summary in summaries(text):
            if summary.split(" ")[0].lower().strip(".") in NOT_A_SUMMARY:
                yield f"{line}: not {summary!r} but what it does: Get, List, Revoke"


def test_prose_uses_the_terms_of_the_field() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{fault}"
        for path in sources()
        if path not in SKIPPED
        for fault in faults(path)
    ]

    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "Let somebody work for it no longer.",
        "Nobody reads it.",
        "the letters that waited",
        "a mighty login",
        "kill the older tokens",
        "imports run one way",
    ],
)
def test_literal_translations_are_found(text: str) -> None:
    assert list(found(ON_PAGES, 1, text))


@pytest.mark.parametrize("text", ["behaviour", "recognised", "the colour", "a licence", "recieve"])
def test_british_spelling_and_typos_are_found(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")

    with pytest.raises(AssertionError, match="should be"):
        run(TOOLS / "typos", "--config", ROOT / "pyproject.toml", page, cwd=tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "a capital letter",
        "lower-case letters, digits and hyphens",
        "letters and digits",
        "a letter or digit at both ends",
        "dead letters",
        "SIGKILL, without a skilled hand",
        "It works, for now.",
    ],
)
def test_terms_of_the_field_are_not_found(text: str) -> None:
    assert not list(found(NOT_IN_TESTS, 1, text))
