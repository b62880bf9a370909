"""Projects follow the template from release to release, and their users' changes stay."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import tables
from tests.combinations import largest
from tests.template import (
    commit_all,
    edit,
    export,
    git,
    recorded,
    run,
)
from tests.updates import (
    BAKERS,
    EDITS,
    RELEASES,
    UPDATERS,
    WAYS,
    change_as_a_user,
    conflicts,
    content,
    merge,
    outcome,
    released,
    replace_by_the_present,
    without_migrations,
)
from tests.updates import update_with_copier as update

HOUSE = "{{cookiecutter.project_slug}}"
MIGRATION = "migrations/versions/0001_initial.py"
NEXT = "the next release"
"""A release that tests make of the template as it is; projects are updated to it from the present."""
VERSIONS = [*RELEASES, NEXT]
STARTS = [
    pytest.param(version, marks=pytest.mark.xdist_group(f"update {version}"))
    for version in VERSIONS
]

# What the next release changes, near what users change.
CHANGES = {
    "app/core/settings.py": [
        ("shutdown_timeout: int = Field(default=30", "shutdown_timeout: int = Field(default=20"),
        (
            "database_pool_size: int = Field(default=15",
            "database_pool_size: int = Field(default=16",
        ),
    ],
    "app/features/users/service.py": [('"""One account."""', '"""The account."""')],
    "app/installed.py": [
        ("    metrics,\n", "    metrics,\n    news,\n"),
        ("    metrics.feature,\n", "    metrics.feature,\n    news.feature,\n"),
    ],
    "pyproject.toml": [('"pyjwt[crypto]>=2.15.1,<3"', '"pyjwt[crypto]>=2.15.0,<3"')],
    "README.md": [("## Everyday commands\n", "## Commands\n")],
    "docs/adr/0003-errors-are-problem-documents.md": [("**Context.**", "**Situation.**")],
    "docs/adr/0004-sessions-behind-tokens.md": [("**Context.**", "**Situation.**")],
    MIGRATION: [('"""The tables', '"""All tables')],
}

NEWS = '''"""News."""

from app.core.feature import Feature

feature = Feature()
'''


def release(template: Path) -> None:
    """A newer template, with changed lines, a changed first migration, a new file and a new feature."""
    house = template / HOUSE
    for name, changes in CHANGES.items():
        for old, new in changes:
            edit(house / name, old, new)
    (house / "docs" / "new.md").write_text("News for {{ cookiecutter.project_name }}.\n")
    (house / "app/features/news").mkdir()
    (house / "app/features/news/__init__.py").write_text(NEWS)
    commit_all(template, "A newer template")


def replace_the_first_migration(project: Path) -> None:
    """Squash the migrations, as a user may."""
    edit(project / MIGRATION, "Create them.", "Create them all.")
    edit(project / MIGRATION, 'revision = "0001"', 'revision = "0001"  # squashed')
    (project / MIGRATION).rename(project / "migrations/versions/0001_ours.py")
    commit_all(project, "Squash")


@dataclass(frozen=True)
class Projects:
    """A template of two versions, and projects of the older one, which their users have changed."""

    template: Path
    changed: dict[str, Path]
    """By the tool that generated them."""
    born: dict[str, dict[str, bytes]]
    fresh: dict[str, dict[str, bytes]]
    """What an engine generates from the older and from the newer version."""


Start = Callable[[str], Projects]


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Projects that start from a version; do not change them."""
    made: dict[str, Projects] = {}

    def start(version: str) -> Projects:
        if version not in made:
            made[version] = start_from(version, tmp_path_factory.mktemp("start"))
        return made[version]

    return start


def start_from(version: str, folder: Path) -> Projects:
    """Generate projects from a version, change them, and move the template on."""
    template = folder / "template"
    if version == NEXT:
        template.mkdir()
        export(template)
    else:
        released(version, template)
    changed = {origin: bake(template, folder / origin, {}) for origin, bake in BAKERS.items()}
    born = {engine: content(changed[baker]) for engine, baker in ENGINES.items()}
    for project in changed.values():
        replace_the_first_migration(change_as_a_user(project))
    if version == NEXT:
        release(template)
    else:
        replace_by_the_present(template)
    fresh = {
        engine: content(BAKERS[baker](template, folder / "fresh" / engine, {}))
        for engine, baker in ENGINES.items()
    }
    return Projects(template, changed, born, fresh)


# Cookiecutter and Copier generate the same; what cruft generates says so in `pyproject.toml`.
ENGINES = {"copier": "cookiecutter", "cruft": "cruft"}


@pytest.mark.parametrize("version", STARTS)
@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_no_change_of_a_user_is_lost(
    projects: Start,
    tmp_path: Path,
    record_property: tables.Record,
    version: str,
    way: tuple[str, str],
) -> None:
    """A conflict arises only where git sees one in the two changes, and is listed."""
    start, (origin, engine) = projects(version), way
    project = tmp_path / "project"
    shutil.copytree(start.changed[origin], project)
    mine = content(project)

    UPDATERS[engine](project)

    outcomes = {change.what: outcome(project, change) for change in EDITS}
    for what, became in outcomes.items():
        where = "the present" if version == NEXT else version
        tables.enter(record_property, f"Updates from {where}", what, ", ".join(way), became)
    assert "lost" not in outcomes.values(), outcomes
    if version == NEXT:
        disputed = {what for what, became in outcomes.items() if became != "merged"}
        assert disputed == {"a default that the template changes too"}
    assert migrations_of(content(project)) == migrations_of(mine)
    assert_merged(project, start.born[engine], mine, start.fresh[engine], tmp_path)
    assert git(start.template, "rev-parse", "HEAD").startswith(version_of(project, start.template))


@pytest.mark.parametrize("version", STARTS[:-1])
@pytest.mark.parametrize("engine", UPDATERS)
def test_an_update_switches_on_the_options_that_it_brings(
    projects: Start, tmp_path: Path, version: str, engine: str
) -> None:
    """And all others, in a project that its user has changed."""
    start = projects(version)
    project = tmp_path / "project"
    shutil.copytree(start.changed[ENGINES[engine]], project)
    mine = content(project)

    UPDATERS[engine](project, largest())

    fresh = BAKERS[ENGINES[engine]](start.template, tmp_path / "fresh", largest())
    assert_merged(project, start.born[engine], mine, content(fresh), tmp_path)
    assert recorded(project).items() >= largest().items()


def version_of(project: Path, template: Path) -> str:
    """The template's commit that the project says it is at."""
    return git(template, "rev-parse", f"{recorded(project)['_commit']}^{{commit}}")


def migrations_of(files: dict[str, bytes]) -> dict[str, bytes]:
    """The user's migrations."""
    return dict(files.items() - without_migrations(files).items())


def assert_merged(
    project: Path,
    born: dict[str, bytes],
    mine: dict[str, bytes],
    fresh: dict[str, bytes],
    folder: Path,
) -> None:
    """Every file is what git makes of the user's and the template's changes."""
    merged = without_migrations(content(project))
    disputed: set[str] = set()
    for name in without_migrations(born | mine | fresh):
        base, ours, theirs = born.get(name), mine.get(name), fresh.get(name)
        if ours == base:
            assert merged.get(name) == theirs, name
        elif theirs in (base, ours) or ours is None:
            assert merged.get(name) == ours, name
        elif theirs is not None and base is not None:
            both, conflict = merge(ours, base, theirs, folder)
            disputed |= {name} if conflict else set()
            assert conflict or merged.get(name) == both, name
    assert conflicts(project) == disputed


@pytest.mark.parametrize("engine", UPDATERS)
def test_a_changed_file_that_the_template_deletes_is_listed(
    own_template: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], engine: str
) -> None:
    """Copier deletes it, for git to show and restore; cruft leaves it, and says that it did."""
    name = "docs/adr/0006-failures-that-are-news.md"
    project = BAKERS[ENGINES[engine]](own_template, tmp_path / "project", {})
    with (project / name).open("a", encoding="utf-8") as file:
        file.write("Ours.\n")
    commit_all(project, "Ours")
    (own_template / HOUSE / name).unlink()
    commit_all(own_template, "A newer template")

    UPDATERS[engine](project)

    if engine == "cruft":
        assert f"{name}: patch does not apply" in capfd.readouterr().err
    else:
        assert git(project, "status", "--porcelain", "docs") == f"D {name}"
        git(project, "restore", name)
    assert (project / name).read_text(encoding="utf-8").endswith("Ours.\n")


COUNT = """
import asyncio, sys
from sqlalchemy import text
from app.core.db.session import unit_of_work
from app.core.settings import Settings
from app.service import running

async def main():
    async with running(Settings(), work=False) as service, unit_of_work(service.database) as session:
        for table in sys.argv[1:]:
            print(await session.scalar(text(f"SELECT count(*) FROM {table}")))

asyncio.run(main())
"""


def count(project: Path, *tables: str, **environ: str) -> list[int]:
    """The numbers of rows in these tables."""
    command = [project / ".venv/bin/python", "-c", COUNT, *tables]
    return [int(line) for line in run(*command, cwd=project, **environ).stdout.split()]


def upgrade(project: Path, **environ: str) -> None:
    """Install, migrate, and commit, as for work on the project."""
    run("uv", "sync", "--quiet", cwd=project)
    run(project / ".venv/bin/app", "db", "upgrade", cwd=project, **environ)
    commit_all(project, "Work")


def migrate(project: Path, message: str, **environ: str) -> None:
    """Install, and bring the database to the models, as `docs/updating.md` says."""
    run("uv", "sync", "--quiet", cwd=project)
    for command in (["revision", "-m", message], ["upgrade"], ["check"]):
        run(project / ".venv/bin/app", "db", *command, cwd=project, **environ)


def test_an_updated_project_runs_on_its_data(projects: Start, tmp_path: Path) -> None:
    """From the newest release; where both changed a line, the user keeps the own one."""
    start = projects([NEXT, *RELEASES][-1])
    project = tmp_path / "project"
    shutil.copytree(start.changed["cookiecutter"], project)
    environ = {"DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'data.sqlite'}"}
    upgrade(project, **environ)

    update(project)
    for name in conflicts(project):
        git(project, "checkout", "--ours", name)
    migrate(project, "update", **environ)

    assert count(project, "colors", **environ) == [2]
    subset = ["tests/test_architecture.py", "tests/test_migrations.py", "app/features/users"]
    run("uv", "run", "pytest", "-q", *subset, cwd=project, TEST_DATABASE_URL="sqlite://")
