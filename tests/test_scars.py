"""No file of a generated project shows where something was left out of it."""

import io
import tokenize
from functools import cache
from pathlib import Path

import pytest

from tests.combinations import COMBINATIONS, Answers
from tests.conftest import Generated

LINE = 100
PAIRS = {"(": ")", "[": "]", "{": "}"}


@cache
def scars(source: str) -> list[int]:
    """Lines with a bracket that is spread around one element, which the formatter would have folded.

    A comma behind the last element keeps a bracket open, also when all others are gone. Most files
    are the same in every project.
    """
    found: list[int] = []
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    lines = source.splitlines()
    open_brackets: list[tuple[int, int]] = []  # where each stands, and how many commas are in it
    for number, token in enumerate(tokens):
        if token.type != tokenize.OP:
            continue
        if token.string in PAIRS:
            open_brackets.append((number, 0))
        elif token.string == "," and open_brackets:
            at, commas = open_brackets.pop()
            open_brackets.append((at, commas + 1))
        elif token.string in PAIRS.values():
            at, commas = open_brackets.pop()
            inside = [each for each in tokens[at + 1 : number] if each.type != tokenize.NL]
            first, last = tokens[at].start[0], token.start[0]
            if commas != 1 or first == last or not inside or inside[-1].string != ",":
                continue
            if any(each.type == tokenize.COMMENT for each in inside):
                continue
            element = " ".join(lines[row - 1].strip() for row in range(first + 1, last))
            whole = lines[first - 1] + element.removesuffix(",") + lines[last - 1].strip()
            is_tuple = tokens[at - 1].type != tokenize.NAME and token.string == ")"
            if len(whole) + is_tuple <= LINE:
                found.append(first)
    return found


def test_a_scar_is_seen() -> None:
    assert scars("x = [\n    one,\n]\n") == [1]
    assert scars("from a import (\n    one,\n)\n") == [1]
    assert scars("call(\n    one,\n    two,\n)\n") == []
    assert scars("call(one, [two])\n") == []


@pytest.mark.parametrize("answers", COMBINATIONS)
def test_nothing_shows_where_an_option_was_left_out(generated: Generated, answers: Answers) -> None:
    project = generated(answers)

    assert {
        f"{path.relative_to(project)}:{line}"
        for path in sorted(Path(project).rglob("*.py"))
        for line in scars(path.read_text(encoding="utf-8"))
    } == set()
