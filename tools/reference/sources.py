"""The sources of the reference besides the code: options, what depends on them, and `.env.example`."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
HOUSE = ROOT / "{{cookiecutter.project_slug}}"
ANSWER = re.compile(r"\{\{ cookiecutter\.(?:__)?(\w+) \}\}")
CONDITION = re.compile(r"\s*# \{% if (.*) %\}")
LITERAL = re.compile(
    r"(?<![\w`/])([a-z0-9+]+://[^\s,;)]*|/[a-z][\w/.-]*|\*(?:\.[\w.]+)?|app\.[\w.]+)(?=[\s,;:.)]|$)"
)
"""What is code in a text, and not marked as such: addresses, paths, patterns, dotted paths."""
VARIABLE = re.compile(r"# ([A-Z][A-Z0-9_]+)=(.*)")

Wanted = dict[str, Any]
"""Options, each with the value that it must have."""


@cache
def source() -> dict[str, Any]:
    """`cookiecutter.json`."""
    return json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))


def text_of(path: str) -> str:
    """A file of the template's own tree."""
    return (HOUSE / path).read_text(encoding="utf-8")


def wanted(path: str) -> Wanted:
    """What a file, relative to the template's own tree, depends on."""
    found: Wanted = {}
    for rule in source()["_prune"]:
        if any(path == kept or path.startswith(f"{kept}/") for kept in rule["paths"]):
            found |= rule["keep_when"]
    return found


def wanted_by(module: str) -> Wanted:
    """What a module depends on."""
    path = module.replace(".", "/")
    return wanted(f"{path}.py") or wanted(path)


def named(options: Wanted) -> str:
    """Options as they are given on the command line: `multi_tenancy=row`."""
    pairs = (name if value is True else f"{name}={value}" for name, value in options.items())
    return " and ".join(f"`{pair}`" for pair in pairs)


def parsed(condition: str) -> Wanted:
    """The options of a condition."""
    found: Wanted = {}
    for part in condition.split(" and "):
        name, _, value = part.removeprefix("cookiecutter.").partition(" == ")
        found[name] = json.loads(value) if value else True
    return found


def guarded(text: str) -> Iterator[tuple[str, Wanted]]:
    """The lines of a file, each with the condition that it depends on."""
    open_conditions: list[Wanted] = []
    for line in text.splitlines():
        if found := CONDITION.match(line):
            open_conditions.append(parsed(found[1]))
        elif "# {% endif %}" in line:
            open_conditions.pop()
        elif not re.match(r"\s*# \{[%#]", line):
            together: Wanted = {}
            for each in open_conditions:
                together |= each
            yield line, together


@dataclass(frozen=True)
class Described:
    """A setting as `.env.example` describes it."""

    default: str
    about: str
    wanted: Wanted


def marked(text: str) -> str:
    """The text with what is literal as code, where it is not yet."""
    parts = text.split("`")
    parts[::2] = [LITERAL.sub(lambda found: code_of(found[1]), part) for part in parts[::2]]
    return "`".join(parts)


def linked(text: str, names: Iterable[str]) -> str:
    """The text of the page of settings, with links to those of these names."""
    known = re.compile(rf"\b({'|'.join(sorted(names, key=len, reverse=True))})(=\w+)?\b")
    parts = text.split("`")
    parts[::2] = [
        known.sub(lambda found: f"[`{found[0]}`](#{found[1].lower()})", part) for part in parts[::2]
    ]
    return "`".join(parts)


def code_of(text: str) -> str:
    """A literal as code, without the full stop or colon after it."""
    bare = text.removesuffix(":").removesuffix(".") if not text.endswith("://") else text
    return f"`{bare}`{text[len(bare) :]}"


def sentence(parts: list[tuple[str, Wanted]], within: Wanted) -> str:
    """The lines of a comment as one text; what an option adds names it."""
    words: list[str] = []
    for text, needs in parts:
        more = {name: value for name, value in needs.items() if name not in within}
        words.append(f"{text} ({named(more)})" if more else text)
    joined = marked(" ".join(words).strip())
    return joined if joined.endswith(".") else f"{joined}."


def described_settings() -> dict[str, Described]:
    """What `.env.example` says of each variable."""
    found: dict[str, Described] = {}
    comment: list[tuple[str, Wanted]] = []
    complete = True
    for line, needs in guarded(text_of(".env.example")):
        if variable := VARIABLE.fullmatch(line):
            default = ANSWER.sub(r"<\1>", variable[2])
            found[variable[1]] = Described(default, sentence(comment, needs), needs)
            complete = True
        elif line.startswith("# "):
            comment = [] if complete else comment
            comment.append((line.removeprefix("# "), needs))
            complete = False
        else:
            complete = True
    return found


def requirements(options: Wanted) -> list[str]:
    """The packages that these options add."""
    text = text_of("pyproject.toml")
    lines = (line for line, needs in guarded(text) if needs == options)
    found = (re.match(r'\s*"([\w.-]+)(?:\[[\w,]+\])?[><=]', line) for line in lines)
    return sorted({each[1] for each in found if each})


def described_metrics() -> Iterator[tuple[str, str, str, Wanted]]:
    """Name, labels and meaning of each metric, and what it depends on, as `docs/observability.md` has them."""
    for line, needs in guarded(text_of("docs/observability.md").partition("## Logs")[0]):
        if row := re.fullmatch(r"\| `(\w+)` \| (.*?) ?\| (.*) \|", line):
            yield row[1], row[2], row[3], needs
