"""Every block on the pages of the documentation is executed, or says in a comment why not.

Blocks of a page run in their order, in one folder. Replaced are only ports, the addresses of servers and of this template,
and `make test`, by a part of it (`SHORTER` in `tests/reader.py`). Commands within a sentence are not run.
The comments above a block, which no reader sees:

- `file: path`, or a line above that ends with the path and a colon: a new file; for a `diff`, lines to change in one;
- `append: path`: lines to add to a file;
- `from: path`: an excerpt of a file of the template or of a generated project;
- `compiled`: a sketch, whose imports exist; `settings`: settings, which the service accepts;
- `keeps running`: a service, until `stop` or the end; `fails`: a command that has to fail;
- `fill: pattern`: what the reader copies from the output into `...`; `output`: what was printed, `...` standing for anything;
- `not run: reason`; `run: command`: a check that readers do not need;
- `starts in: an empty folder`, `a project`, `a project with option=answer` or `a clone of the template`; `starts after: page`.
"""

import re
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.combinations import SOURCE
from tests.documented import Block, blocks, faults, is_excerpt, page_names, start_of
from tests.reader import Reader
from tests.template import ROOT, bake_with_cookiecutter, commit_all, export, run

REASONS = {"Docker", "another machine", "the tests themselves"}
# All blocks that are not run, by their first line.
NOT_RUN = {
    "docs/how-to/machines.md": ["app db upgrade", "app serve --workers 4"],
    "docs/how-to/pgbouncer.md": [
        "[databases]",
        "ALTER ROLE acme_service SET role = app_service;",
        "psql --host=pgbouncer.example.com --port=6432 --username=admin pgbouncer --command=RECONNECT",
    ],
    "docs/moving.md": [
        'psql "$OLD_DATABASE_URL" --command="\\copy (SELECT email, hashed_password AS password_hash,'
        " coalesce(full_name, '') AS full_name, is_active, true AS verified FROM \\\"user\\\") TO"
        " 'users.csv' CSV HEADER\"",
        'pg_dump --no-owner --no-privileges "$OLD_DATABASE_URL" | psql "$MIGRATION_DATABASE_URL"',
    ],
    "docs/tutorial/deploy.md": [
        "docker build --tag acme-api .",
        "docker compose up --build --wait",
    ],
}
PAGES = page_names()
STARTING = [page for page in PAGES if start_of(page)[0]]
# Pages with the same blocks are followed once; those that stop what others use are the last.
RUNNING = sorted(
    {tuple((each.text, each.marks) for each in blocks(page)): page for page in STARTING}.values(),
    key=lambda page: any(block.has("stop") for block in blocks(page)),
)


def test_every_block_is_executed_or_says_why_not() -> None:
    every = [block for page in PAGES for block in blocks(page)]

    assert [block.place for block in every if not block.treatment] == []
    executed = {"append", "console", "diff", "file", "output", "python", "run", "sql", "stop"}
    assert [
        block.place
        for block in every
        if block.treatment in executed and block.place.rpartition(":")[0] not in STARTING
    ] == []


def test_no_other_block_is_left_out() -> None:
    left: dict[str, list[str]] = {}
    for page in PAGES:
        for block in blocks(page):
            if reasons := block.values("not run"):
                assert {*reasons} <= REASONS, block.place
                left.setdefault(page, []).append(block.text.partition("\n")[0])
                if block.language == "console":
                    run("bash", "-n", "-c", block.text, cwd=ROOT)

    assert left == NOT_RUN


def test_excerpts_are_in_the_files_that_they_name() -> None:
    excerpts = [block for page in PAGES for block in blocks(page) if block.treatment == "from"]

    assert [block.place for block in excerpts if not is_excerpt(block)] == []


def test_settings_and_sketches_are_of_this_template() -> None:
    assert faults(PAGES) == []


class Library:
    """Readers, each of whom follows a page and those that continue it."""

    def __init__(self, template: Path, folder: Path) -> None:
        self.template = template
        self.folder = folder
        self.readers: dict[str, Reader] = {}
        self.followed: dict[str, bool] = {}
        """Whether each page that was begun was followed to its end."""
        self.skipped: set[str] = set()

    def reader(self, page: str) -> Reader:
        """Who follows this page, and has followed those before it."""
        if page not in self.readers:
            how, value = start_of(page)
            if how == "starts after":
                self.follow(f"docs/{value}")
                self.readers[page] = self.reader(f"docs/{value}")
            else:
                self.readers[page] = self.start(page, value)
        return self.readers[page]

    def follow(self, page: str) -> None:
        """Follow a page once."""
        reader = self.reader(page)
        if page not in self.followed:
            self.followed[page] = False
            try:
                for block in blocks(page):
                    reader.follow(block)
            except pytest.skip.Exception:
                self.skipped.add(page)
            self.followed[page] = True
        if page in self.skipped:
            pytest.skip(f"{page} needs a server")
        assert self.followed[page], f"{page} failed"

    def start(self, page: str, where: str) -> Reader:
        """A reader at the beginning of a page."""
        home = self.folder / re.sub(r"\W", "-", page)
        home.mkdir()
        folder = home / "work"
        if where.startswith("a project"):
            folder = bake_with_cookiecutter(self.template, folder, answers(where))
            commit_all(folder, "Initial commit")
        else:
            folder.mkdir()
        if where == "a clone of the template":
            export(folder)
            # An environment of its own there, so that none is made in place of ours.
            (folder / "build/house").mkdir(parents=True)
            for name in ("tools", "uv"):
                (folder / "build" / name).symlink_to(ROOT / "build" / name)
        return Reader(home, folder, self.template)

    def close(self) -> None:
        """Stop what runs."""
        for reader in self.readers.values():
            reader.close()


def answers(where: str) -> dict[str, object]:
    """The answers that the start of a page names."""
    given = dict(re.findall(r"(\w+)=(\S+)", where))
    return {
        name: value == "true" if isinstance(SOURCE[name], bool) else value
        for name, value in given.items()
    }


@pytest.fixture(scope="module")
def library(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Library]:
    """Readers of all pages."""
    opened = Library(template, tmp_path_factory.mktemp("readers"))
    yield opened
    opened.close()


def beginning(page: str) -> str:
    """The first of the pages that lead to this one: one worker follows them all."""
    how, value = start_of(page)
    return beginning(f"docs/{value}") if how == "starts after" else page


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.xdist_group(beginning(page))) for page in RUNNING],
)
def test_a_page_does_what_it_says(library: Library, page: str) -> None:
    library.follow(page)


def block(text: str, language: str = "console", *marks: tuple[str, str]) -> Block:
    """A block of a page."""
    return Block("page:1", language, text, marks, "")


@pytest.mark.parametrize(
    "unclear",
    [block("x", "text"), block("x = 1", "toml"), block("x", "bash"), block("+x", "diff")],
)
def test_a_block_that_does_not_say_what_it_is_is_noticed(unclear: Block) -> None:
    assert unclear.treatment == ""


def test_an_excerpt_that_has_changed_is_noticed() -> None:
    changed = block("from_primary = False\n", "python", ("from", "app/features/users/models.py"))

    assert not is_excerpt(changed)
