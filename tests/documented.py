"""What the pages of the documentation contain: blocks in their order, and the comments that say what each is.

A comment above a block is for the tests alone; no reader sees it. `tests/test_documented_commands.py` says which there are.
"""

import ast
import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.template import HOUSE, ROOT, run
from tests.test_in_place import BIN, ELSEWHERE

MARKS = (
    "append",
    "compiled",
    "fails",
    "file",
    "fill",
    "from",
    "keeps running",
    "not run",
    "output",
    "run",
    "settings",
    "starts after",
    "starts in",
    "stop",
)
ALONE = ("run", "starts after", "starts in", "stop")
"""Comments that belong to no block."""
EXECUTED = ("console", "diff", "python", "sql")
"""What is executed without a comment, or with a path."""
PIECES = re.compile(
    rf"^ *<!-- (?P<mark>{'|'.join(MARKS)})(?:: (?P<value>[^\n]*?))? -->$"
    r"|^(?P<indent> *)```(?P<language>\w*)[^\n`]*\n(?P<text>.*?)^(?P=indent)``` *$",
    re.MULTILINE | re.DOTALL,
)
PATH = re.compile(r"`([\w./{}-]*[./][\w./{}-]*)`:\n\s*\Z")
COMMENTS = re.compile(r"(?:\s*<!-- [^\n]*? -->)+\s*\Z")
GUARD = re.compile(r"^ *# \{%.*\n", re.MULTILINE)
# Pages that record or are generated, and those that other tests follow.
ELSEWHERE_TESTED = (
    "docs/adr/",
    "docs/performance.md",
    "docs/reference/",
    "docs/troubleshooting.md",  # tests/test_troubleshooting.py
    "docs/updating.md",  # tests/test_update_commands.py
)
MADE_BY_READERS = "app.features.notes"

# In the template's own tree, where every option is on: which settings are refused, which imports do not resolve.
LOOK = """
import importlib, json, os, sys
from app.core import configuration
from app.installed import SETTINGS

given = json.load(sys.stdin)
known = {configuration.variable(kind, field) for kind in SETTINGS for field in kind.model_fields}
for place, values in given["settings"]:
    for name in values.keys() - known:
        print(f"{place}: {name} is not a setting")
    os.environ.update(values)
    try:
        configuration.check(SETTINGS)
    except configuration.UnfitSettings as unfit:
        print(f"{place}: {unfit}")
    for name in values:
        del os.environ[name]
for place, module, name in given["imports"]:
    try:
        found = importlib.import_module(module)
        if name and not hasattr(found, name):
            importlib.import_module(f"{module}.{name}")
    except ImportError as error:
        print(f"{place}: {error}")
"""


@dataclass(frozen=True)
class Block:
    """A fenced block, or a comment on its own."""

    place: str
    """The page and the line."""
    language: str
    text: str
    marks: tuple[tuple[str, str], ...]
    path: str
    """The file that it is about, if one is named."""

    def has(self, mark: str) -> bool:
        """Whether it has this comment."""
        return any(name == mark for name, _ in self.marks)

    def values(self, mark: str) -> list[str]:
        """What its comments of this name say."""
        return [value for name, value in self.marks if name == mark]

    @property
    def treatment(self) -> str:
        """What is done with it; empty if it does not say."""
        for mark in ("not run", "output", "from", "compiled", "settings", "append", "run", "stop"):
            if self.has(mark):
                return mark
        if self.language == "mermaid" or self.has("starts in") or self.has("starts after"):
            return "nothing"
        if self.path:
            return "diff" if self.language == "diff" else "file"
        return self.language if self.language in EXECUTED and self.language != "diff" else ""


def blocks(page: str) -> list[Block]:
    """The blocks of a page, by its path in this repository."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found: list[Block] = []
    marks: list[tuple[str, str]] = []
    end = 0
    for piece in PIECES.finditer(text):
        place = f"{page}:{text.count(chr(10), 0, piece.start()) + 1}"
        if piece["mark"]:
            mark = (piece["mark"], piece["value"] or "")
            if piece["mark"] in ALONE:
                found.append(Block(place, "", "", (mark,), ""))
            else:
                marks.append(mark)
            continue
        indent = len(piece["indent"])
        lines = [line[indent:] or "\n" for line in piece["text"].splitlines(keepends=True)]
        given, between = dict(marks), COMMENTS.sub("\n", text[end : piece.start()])
        named = PATH.search(between)
        path = given.get("file") or given.get("append") or (named[1] if named else "")
        if piece["language"] == "console":
            path = ""
        elif not (path or between.strip()):
            path = found[-1].path if found else ""
        found.append(Block(place, piece["language"], "".join(lines), tuple(marks), path))
        marks, end = [], piece.end()
    return found


def start_of(page: str) -> tuple[str, str]:
    """How a page starts, and where or after which page; both empty if nothing is run on it."""
    for block in blocks(page):
        for mark, value in block.marks:
            if mark in {"starts after", "starts in"}:
                return mark, value
    return "", ""


def expected(text: str) -> re.Pattern[str]:
    """What matches an output that is shown with `...` for whatever else there is."""
    return re.compile(re.escape(text.rstrip("\n")).replace(r"\.\.\.", ".*?"), re.DOTALL)


def is_excerpt(block: Block) -> bool:
    """Whether its lines are in the file that it names, in this order, at any indentation."""
    (name,) = block.values("from")
    candidates = [path for path in (HOUSE / name, ROOT / name) if path.is_file()]
    if not candidates:
        return False
    lines = GUARD.sub("", candidates[0].read_text(encoding="utf-8")).splitlines()
    place = 0
    for chunk in re.split(r"(?m)^\s*\.\.\.\n", block.text):
        wanted = textwrap.dedent(chunk).splitlines()
        for start in range(place, len(lines) - len(wanted) + 1):
            there = textwrap.dedent("\n".join(lines[start : start + len(wanted)]))
            if there.splitlines() == wanted:
                place = start + len(wanted)
                break
        else:
            return False
    return True


def imports(block: Block) -> Iterator[tuple[str, str, str]]:
    """What a sketch imports: its place, the module, and a name in it."""
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    tree: ast.AST = compile(block.text, block.place, "exec", flags)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((block.place, node.module, each.name) for each in node.names)
        elif isinstance(node, ast.Import):
            yield from ((block.place, each.name, "") for each in node.names)


def faults(pages: Sequence[str]) -> list[str]:
    """What is wrong with settings and sketches on these pages."""
    every = [block for page in pages for block in blocks(page)]
    settings = [
        (block.place, dict(re.findall(r"^(\w+)=(.*)$", block.text, re.MULTILINE)))
        for block in every
        if block.treatment == "settings"
    ]
    wanted = [
        each
        for block in every
        if block.treatment == "compiled"
        for each in imports(block)
        if not each[1].startswith(MADE_BY_READERS)
    ]
    given = json.dumps({"settings": settings, "imports": wanted})
    look = f"import io, sys; sys.stdin = io.StringIO({given!r})\n{LOOK}"
    return run(BIN / "python", "-c", look, cwd=HOUSE, **ELSEWHERE).stdout.splitlines()


def page_names() -> list[str]:
    """The pages whose blocks are executed."""
    found = [path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("docs/**/*.md"))]
    return ["README.md", *(page for page in found if not page.startswith(ELSEWHERE_TESTED))]
