"""Write what README and documentation repeat: options, figures, badges, and the address of this repository.

Options come from `cookiecutter.json`, figures from `docs/performance.md`, the rest from `pyproject.toml`. With
`--check` it writes nothing and fails when a file differs.
"""

import argparse
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from jinja2 import Environment

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs" / "pictures"
NAME = "cookiecutter-fastapi-service"
ADDRESS = re.compile(rf"(gh:|github\.com/)[\w.-]+(?=/{NAME}\b)")
BLOCK = re.compile(
    r"(<!-- (\w+): written by tools/write_readme.py -->\n).*?(<!-- end -->)", re.DOTALL
)

# Columns of `docs/performance.md`, and what README calls them.
FIGURES = {
    "caller's account": "the caller's account",
    "page of 20": "a page of 20 rows",
    "create": "create a row",
    "account while others sign in": "the caller's account, while others sign in",
}
PEERS = {
    "**this one**": "**this one**",
    "official full-stack": "full-stack-fastapi-template",
    "vstorm": "full-stack-ai-agent-template",
    "s3rius": "FastAPI-template",
    "benavlabs": "FastAPI-boilerplate",
}

BADGE = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{label}: {value}">
<title>{label}: {value}</title>
<clipPath id="round"><rect width="{width}" height="20" rx="3"/></clipPath>
<g clip-path="url(#round)"><rect width="{width}" height="20" fill="#0f766e"/>\
<rect width="{left}" height="20" fill="#444"/></g>
<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">\
<text x="{first}" y="14">{label}</text><text x="{second}" y="14">{value}</text></g>
</svg>
"""


def table(rows: list[list[str]]) -> str:
    """A table of Markdown; the first row is its head."""
    lines = ["| " + " | ".join(cells) + " |" for cells in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]) + "\n"


def defaults(source: dict[str, Any]) -> dict[str, str]:
    """What each question for a text proposes."""
    texts = Environment(autoescape=False)  # noqa: S701, no page is made of them
    found: dict[str, str] = {}
    for name, default in source.items():
        if not name.startswith("_") and isinstance(default, str):
            found[name] = texts.from_string(default).render(cookiecutter=found)
    return found


def options(source: dict[str, Any]) -> str:
    """Every question, with its answers: the default is bold."""
    texts = defaults(source)
    rows = [["option", "answers", "meaning"]]
    for name, default in source.items():
        if name.startswith("_"):
            continue
        prompt = source["__prompts__"][name]
        if isinstance(default, bool):
            given = [f"**{str(default).lower()}**", f"{str(not default).lower()}"]
        elif isinstance(default, list):
            given = [f"**{default[0]}**", *default[1:]]
            labels = [f"`{choice}`: {prompt[choice]}" for choice in default]
            prompt = "<br>".join([prompt["__prompt__"], *labels])
        else:
            given = [texts[name]]
        rows.append([f"`{name}`", ", ".join(given), prompt])
    return table(rows)


def cells(line: str) -> list[str]:
    """The cells of a row of Markdown."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def figures(performance: str) -> str:
    """Requests per second of this template and of others, against a program that does nothing else."""
    section = performance.split("\n## Other templates\n")[1]
    lines = [cells(line) for line in section.splitlines() if line.startswith("|")]
    rows = {row[0]: dict(zip(lines[0], row, strict=True)) for row in lines[2:]}
    ours = re.search(r"Measured on (\d{4}-\d\d-\d\d)", performance)
    theirs = re.search(r"\d{4}-\d\d-\d\d", section)
    if not (ours and theirs):
        raise ValueError("docs/performance.md has no date")
    body = [
        [title, *(rows[peer][column] or "" for peer in PEERS)] for column, title in FIGURES.items()
    ]
    head = [
        "requests per second; 1.00 is a minimal program with FastAPI and SQLAlchemy's ORM;"
        f" measured {ours[1]}, others {theirs[0]}",
        *PEERS.values(),
    ]
    return table([head, *body])


def badge(label: str, value: str) -> str:
    """A label and its value as a picture."""
    left, right = (round(len(text) * 6.6) + 12 for text in (label, value))
    return BADGE.format(
        label=escape(label),
        value=escape(value),
        left=left,
        width=left + right,
        first=left / 2,
        second=left + right / 2,
    )


def badges(project: dict[str, Any]) -> dict[str, str]:
    """The badges by their files' names: only what is true of every copy of this repository."""
    low, high = re.findall(r"3\.(\d+)", project["requires-python"])
    return {
        "python": badge("Python", f"3.{low} to 3.{int(high) - 1}"),
        "databases": badge("databases", "PostgreSQL, MySQL, MariaDB"),
        "engines": badge("made with", "Cookiecutter or Copier"),
        "license": badge("license", project["license"]),
    }


def pages() -> Iterator[Path]:
    """What may name the address of this repository, or have a generated block."""
    yield from (ROOT / name for name in ("README.md", "CONTRIBUTING.md", "mkdocs.yml"))
    yield from sorted(ROOT.glob("docs/**/*.md"))


def written() -> dict[Path, str]:
    """The contents of every file that this writes."""
    about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    source = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    blocks = {
        "options": options(source),
        "figures": figures((ROOT / "docs" / "performance.md").read_text(encoding="utf-8")),
    }
    owner = about["tool"]["template"]["owner"]
    found = {PICTURES / f"{name}.svg": svg for name, svg in badges(about["project"]).items()}
    for page in pages():
        text = ADDRESS.sub(lambda match: match[1] + owner, page.read_text(encoding="utf-8"))
        found[page] = BLOCK.sub(lambda match: f"{match[1]}\n{blocks[match[2]]}\n{match[3]}", text)
    return found


def main() -> int:
    """Write, or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare")
    check = parser.parse_args().check
    for path, text in written().items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if check:
            print(f"{path.relative_to(ROOT)} is out of date: run `make readme`")
            return 1
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
