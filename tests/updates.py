"""What updates start from, what users change, and what becomes of their changes."""

import subprocess
import tomllib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cruft
import pytest
from copier import run_update

from tests.template import (
    ROOT,
    Answers,
    bake_with_cookiecutter,
    bake_with_copier,
    commit_all,
    edit,
    export,
    git,
    run,
    tree,
)

RELEASES: dict[str, str] = tomllib.loads(
    (ROOT / "tests" / "releases.toml").read_text(encoding="utf-8")
)["releases"]


def bake_with_cruft(template: Path, output: Path, answers: Answers) -> Path:
    """The project, in a folder of its slug below `output`."""
    output.mkdir(parents=True)
    return cruft.create(
        str(template), output, extra_context=dict(answers), default_config=True, no_input=True
    )


def update_with_copier(project: Path, data: Answers | None = None) -> None:
    """`copier update`, as a user runs it: to the template's newest commit, without questions."""
    with warnings.catch_warnings(action="ignore"):  # that the template has no release tags
        run_update(
            project,
            data=dict(data or {}),
            defaults=True,
            overwrite=True,
            quiet=True,
            vcs_ref="HEAD",
        )


def update_with_cruft(project: Path, data: Answers | None = None) -> None:
    """`cruft update`, likewise."""
    assert cruft.update(project, skip_apply_ask=True, extra_context=dict(data or {}))


BAKERS = {
    "cookiecutter": bake_with_cookiecutter,
    "copier": bake_with_copier,
    "cruft": bake_with_cruft,
}
UPDATERS = {"copier": update_with_copier, "cruft": update_with_cruft}
# Which tool generated a project, and which one updates it.
WAYS = [
    ("cookiecutter", "copier"),
    ("copier", "copier"),
    ("cruft", "cruft"),
    ("cruft", "copier"),
]


def require(commit: str, repository: Path) -> None:
    """A release can only be tested where its commit is."""
    shown = ["git", "cat-file", "-e", f"{commit}^{{commit}}"]
    if subprocess.run(shown, cwd=repository, capture_output=True, check=False).returncode:
        pytest.fail(
            f"{commit}, a release in tests/releases.toml, is not in this clone:"
            " run `git fetch --unshallow`",
            pytrace=False,
        )


def released(version: str, target: Path) -> Path:
    """A clone of the template at a release, tagged."""
    require(RELEASES[version], ROOT)
    run("git", "clone", "--quiet", "--no-checkout", ROOT, target, cwd=ROOT)
    git(target, "checkout", "--quiet", "-B", "users", RELEASES[version])
    git(target, "tag", "--force", f"v{version}")
    return target


def replace_by_the_present(template: Path) -> None:
    """The template as it is, as the next commit."""
    git(template, "rm", "-r", "--quiet", ".")
    export(template)


@dataclass(frozen=True)
class Edit:
    """What a user changes in one file, which then has these lines."""

    what: str
    path: str
    lines: tuple[str, ...]
    make: Callable[[Path, "Edit"], None]


def after(anchor: str) -> Callable[[Path, Edit], None]:
    """Insert the lines after one that is there once, in every release."""

    def make(project: Path, change: Edit) -> None:
        path = project / change.path
        assert path.read_text(encoding="utf-8").count(f"{anchor}\n") == 1, anchor
        edit(path, f"{anchor}\n", "\n".join([anchor, *change.lines, ""]))

    return make


def instead_of(*old: str) -> Callable[[Path, Edit], None]:
    """Replace lines."""

    def make(project: Path, change: Edit) -> None:
        for before, now in zip(old, change.lines, strict=True):
            edit(project / change.path, f"{before}\n", f"{now}\n")

    return make


def add(project: Path, change: Edit) -> None:
    """Add a file."""
    path = project / change.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*change.lines, ""]), encoding="utf-8")


def append(project: Path, change: Edit) -> None:
    """Add lines at the end."""
    with (project / change.path).open("a", encoding="utf-8") as file:
        file.write("\n".join([*change.lines, ""]))


def rename(old: str) -> Callable[[Path, Edit], None]:
    """Rename a file, and add a line."""

    def make(project: Path, change: Edit) -> None:
        (project / old).rename(project / change.path)
        append(project, change)

    return make


def delete(project: Path, change: Edit) -> None:
    """Delete a file."""
    (project / change.path).unlink()


FEATURE = '''"""Colors."""

from app.core.feature import Feature
from app.features.aura.models import Color

feature = Feature(models=(Color,))'''
MODELS = '''"""Tables."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db.base import Base


class Color(Base):
    """A color."""

    __tablename__ = "colors"

    name: Mapped[str] = mapped_column(String(50))'''
MIGRATION = '''"""Colors, with the first ones."""

from datetime import UTC, datetime
from uuid import uuid4

import sqlalchemy as sa
from alembic import op

from app.core.db.types import UTCDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create and fill them."""
    colors = op.create_table(
        "colors",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_colors")),
    )
    now = datetime.now(UTC)
    for name in ("red", "green"):
        row = {"id": uuid4(), "created_at": now, "updated_at": now, "name": name}
        op.bulk_insert(colors, [row])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("colors")'''
SERVICE = '''

async def paint(session: AsyncSession, user_id: UUID, color: str) -> str:
    """Say who likes a color."""
    user = await get(session, user_id)
    return f"{user.full_name} likes {color}"'''


def lines(text: str) -> tuple[str, ...]:
    """The lines of a text."""
    return tuple(text.split("\n"))


EDITS = [
    Edit("a service function", "app/features/users/service.py", lines(SERVICE), append),
    # Beside no line of an option.
    Edit("the register: import", "app/installed.py", ("    aura,",), after("    audit,")),
    Edit(
        "the register: feature",
        "app/installed.py",
        ("    aura.feature,",),
        after("    auth.feature,"),
    ),
    Edit(
        "a new setting",
        "app/core/settings.py",
        ('    color: str = "red"',),
        after("    api_docs: bool = True"),
    ),
    Edit(
        "a new setting: documentation",
        ".env.example",
        ("", "# A color", "# COLOR=red"),
        after("# API_DOCS=true"),
    ),
    Edit(
        "a default that the template changes too",
        "app/core/settings.py",
        ("    shutdown_timeout: int = Field(default=45, ge=0)",),
        instead_of("    shutdown_timeout: int = Field(default=30, ge=0)"),
    ),
    Edit(
        "a default: documentation",
        ".env.example",
        ("# SHUTDOWN_TIMEOUT=45",),
        instead_of("# SHUTDOWN_TIMEOUT=30"),
    ),
    Edit(
        "a dependency",
        "pyproject.toml",
        ('    "rich>=14",',),
        after('    "prometheus-client>=0.26.0",'),
    ),
    Edit(
        "the README",
        "README.md",
        ("", "The colors are those of 2026."),
        after("## Accounts"),
    ),
    Edit("a migration with data", "migrations/versions/0002_colors.py", lines(MIGRATION), add),
    Edit("an added feature", "app/features/aura/__init__.py", lines(FEATURE), add),
    Edit("an added feature: models", "app/features/aura/models.py", lines(MODELS), add),
    Edit(
        "a renamed file",
        "docs/adr/0004-sessions.md",
        ("", "We agreed."),
        rename("docs/adr/0004-sessions-behind-tokens.md"),
    ),
    Edit("a deleted file", "docs/adr/0003-errors-are-problem-documents.md", (), delete),
]


def change_as_a_user(project: Path) -> Path:
    """Commit the project as it was generated, make all changes, and commit them."""
    commit_all(project, "Begin")
    for each in EDITS:
        each.make(project, each)
    commit_all(project, "Ours")
    return project


def conflicts(project: Path) -> set[str]:
    """The files with conflicts, as git lists them; where cruft cannot merge, it leaves `.rej` files."""
    unmerged = git(project, "diff", "--name-only", "--diff-filter=U").splitlines()
    rejected = git(project, "ls-files", "--others", "*.rej").splitlines()
    return {*unmerged, *(name.removesuffix(".rej") for name in rejected)}


def disputed(text: str) -> Iterator[str]:
    """The lines between markers of conflicts."""
    inside = False
    for line in text.splitlines():
        inside = line.startswith("<<<<<<< ") or (inside and not line.startswith(">>>>>>> "))
        if inside:
            yield line


def outcome(project: Path, change: Edit) -> str:
    """What became of an edit: merged, conflict, deleted, or lost, which must not be."""
    path = project / change.path
    if change.make is delete:
        return "lost" if path.exists() else "merged"
    if not path.exists():
        listed = git(project, "diff", "HEAD", "--name-only", "--diff-filter=D").splitlines()
        return "deleted" if change.path in listed else "lost"
    text = path.read_text(encoding="utf-8")
    if not set(change.lines) <= set(text.splitlines()):
        return "lost"
    if set(change.lines) & set(disputed(text)) - {""} or Path(f"{path}.rej").exists():
        return "conflict" if change.path in conflicts(project) else "lost"
    return "merged"


def merge(ours: bytes, base: bytes, theirs: bytes, folder: Path) -> tuple[bytes, bool]:
    """What git makes of two changes of a file, and whether they conflict."""
    names = {"ours": ours, "base": base, "theirs": theirs}
    for name, data in names.items():
        (folder / name).write_bytes(data)
    done = subprocess.run(
        ["git", "merge-file", "--stdout", *names], cwd=folder, capture_output=True, check=False
    )
    return done.stdout, done.returncode != 0


def without_migrations(files: dict[str, bytes]) -> dict[str, bytes]:
    """Migrations belong to the user once they exist."""
    return {name: data for name, data in files.items() if "migrations/versions" not in name}


def content(project: Path) -> dict[str, bytes]:
    """The project's files, all but those in which the engines keep their notes."""
    return {name: data for name, data in tree(project).items() if name != ".cruft.json"}
