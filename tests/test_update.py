"""Projects can be updated: their users' edits stay, and any option can be changed later."""

import json
import os
import re
import shutil
import tomllib
import warnings
from pathlib import Path
from typing import Any

import pytest
from copier import run_update

from tests.template import (
    ROOT,
    TOOLS,
    Answers,
    bake_with_cookiecutter,
    bake_with_copier,
    commit_all,
    edit,
    export,
    git,
    recorded,
    run,
    tree,
)

RELEASES: dict[str, str] = tomllib.loads(
    (ROOT / "tests" / "releases.toml").read_text(encoding="utf-8")
)["releases"]
MIGRATION = "migrations/versions/0001_initial.py"
BAKERS = {"cookiecutter": bake_with_cookiecutter, "copier": bake_with_copier}


def update(project: Path, data: Answers | None = None) -> None:
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
    assert not list(project.rglob("*.rej"))


def release(template: Path) -> None:
    """A newer template, with a changed line, a changed first migration and a new file."""
    house = template / "{{cookiecutter.project_slug}}"
    edit(
        house / "app/core/settings.py",
        "shutdown_timeout: int = Field(default=30",
        "shutdown_timeout: int = Field(default=20",
    )
    edit(house / MIGRATION, '"""The tables', '"""All tables')
    (house / "docs" / "new.md").write_text("News for {{ cookiecutter.project_name }}.\n")
    commit_all(template, "A newer template")


def change_as_a_user(project: Path) -> None:
    """Typical changes of users: edit, also near the template's changes, add and delete."""
    settings = project / "app/core/settings.py"
    edit(settings, "WARNING|ERROR)", "WARNING|ERROR|CRITICAL)")
    edit(settings, "cors_origins: CommaSeparated = []", "cors_origins: CommaSeparated = []  # ours")
    (project / "app" / "features" / "colours").mkdir()
    (project / "app" / "features" / "colours" / "__init__.py").write_text('"""Ours."""\n')
    (project / "docs" / "adr" / "0003-errors-are-problem-documents.md").unlink()


def replace_the_first_migration(project: Path) -> dict[str, bytes]:
    """Squash the migrations, as a user may; return the remaining files."""
    edit(project / MIGRATION, "Create them.", "Create them all.")
    (project / MIGRATION).rename(project / "migrations/versions/0001_ours.py")
    return migrations(project)


def migrations(project: Path) -> dict[str, bytes]:
    """The user's migrations."""
    folder = project / "migrations/versions"
    return {path.name: path.read_bytes() for path in folder.glob("*.py")}


def assert_merged(project: Path) -> None:
    """Both the template's and the user's changes are present."""
    settings = (project / "app/core/settings.py").read_text(encoding="utf-8")
    assert "Field(default=20" in settings
    assert "WARNING|ERROR|CRITICAL)" in settings
    assert "CommaSeparated = []  # ours" in settings
    assert "<<<<<<<" not in settings
    assert not list(project.rglob("*.rej"))
    assert (project / "docs" / "new.md").read_text() == "News for Acme API.\n"
    assert (project / "app" / "features" / "colours" / "__init__.py").exists()
    assert not (project / "docs" / "adr" / "0003-errors-are-problem-documents.md").exists()


@pytest.mark.parametrize("engine", BAKERS)
def test_an_edited_project_follows_the_template(
    own_template: Path, tmp_path: Path, engine: str
) -> None:
    project = BAKERS[engine](own_template, tmp_path / "project", {})
    commit_all(project, "Begin")
    change_as_a_user(project)
    mine = replace_the_first_migration(project)
    commit_all(project, "Ours")

    release(own_template)
    update(project)

    assert_merged(project)
    assert migrations(project) == mine
    assert git(own_template, "rev-parse", "HEAD").startswith(recorded(project)["_commit"])


@pytest.mark.parametrize("engine", BAKERS)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"include_example": False}, {"include_example": True}),
        ({"include_example": True}, {"include_example": False}),
        ({"use_celery": False}, {"use_celery": True}),
        ({"use_celery": True}, {"use_celery": False}),
        ({"multi_tenancy": "none"}, {"multi_tenancy": "row"}),
        ({"multi_tenancy": "row"}, {"multi_tenancy": "none"}),
        ({"database": "postgresql"}, {"database": "mysql"}),
    ],
    ids=str,
)
def test_an_option_can_be_changed_later(
    template: Path, tmp_path: Path, engine: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    project = BAKERS[engine](template, tmp_path / "project", before)
    born = tree(project)
    (project / "app" / "core" / "ours.py").write_text('"""Ours."""\n')
    commit_all(project, "Begin")

    update(project, after)
    fresh = bake_with_copier(template, tmp_path / "fresh", after)
    assert without_migrations(tree(project)) == without_migrations(tree(fresh)) | {
        "app/core/ours.py": b'"""Ours."""\n'
    }

    commit_all(project, "Changed")
    update(project, before)
    assert tree(project) == born | {"app/core/ours.py": b'"""Ours."""\n'}


def without_migrations(files: dict[str, bytes]) -> dict[str, bytes]:
    """Migrations belong to the user once they exist."""
    return {name: data for name, data in files.items() if "migrations/versions" not in name}


def test_an_option_switched_on_later_runs(own_template: Path, tmp_path: Path) -> None:
    """After `app db revision` the schema is that of the models, and the project's tests pass.

    With Celery they start real workers on the brokers that are named.
    """
    before = {"include_example": False, "use_celery": False}
    project = bake_with_cookiecutter(own_template, tmp_path / "project", before)
    change_as_a_user(project)
    commit_all(project, "Begin")
    update(project, {"include_example": True, "use_celery": True})

    run("uv", "sync", "--quiet", cwd=project)
    run("uv", "run", "app", "db", "revision", "-m", "products", cwd=project)
    run("uv", "run", "ruff", "check", ".", cwd=project)
    run("uv", "run", "ruff", "format", "--check", ".", cwd=project)
    run("uv", "run", "app", "db", "upgrade", cwd=project)
    run("uv", "run", "app", "db", "check", cwd=project)
    named = ("TEST_REDIS_URL", "TEST_AMQP_URL")
    brokers = {name: os.environ[name] for name in named if name in os.environ}
    # The feature that the user started has no `Feature` yet, and one of the project's tests would fail.
    shutil.rmtree(project / "app" / "features" / "colours")
    run("uv", "run", "pytest", "-q", cwd=project, **brokers)


def test_cruft_updates_too_and_copier_goes_on_from_there(
    own_template: Path, tmp_path: Path
) -> None:
    """Migrations stay the user's, and the answers file says which version the project has."""
    run(TOOLS / "cruft", "create", own_template, "--no-input", cwd=tmp_path)
    project = tmp_path / "acme-api"
    assert git(own_template, "rev-parse", "HEAD").startswith(recorded(project)["_commit"])
    run(TOOLS / "cruft", "diff", "--exit-code", cwd=project)
    commit_all(project, "Begin")
    change_as_a_user(project)
    mine = replace_the_first_migration(project)
    commit_all(project, "Ours")

    release(own_template)
    run(TOOLS / "cruft", "update", "--skip-apply-ask", cwd=project)

    assert_merged(project)
    assert migrations(project) == mine
    assert git(own_template, "rev-parse", "HEAD").startswith(recorded(project)["_commit"])
    commit_all(project, "Updated")
    run(TOOLS / "cruft", "check", cwd=project)

    settings = own_template / "{{cookiecutter.project_slug}}/app/core/settings.py"
    edit(settings, "Field(default=20, ge=0)", "Field(default=10, ge=0)")
    commit_all(own_template, "A still newer template")
    run(TOOLS / "copier", "update", "--defaults", cwd=project)

    assert "Field(default=10" in (project / "app/core/settings.py").read_text(encoding="utf-8")
    assert "<<<<<<<" not in git(project, "diff")
    assert migrations(project) == mine
    assert git(own_template, "rev-parse", "HEAD").startswith(recorded(project)["_commit"])


def blocks(page: str) -> list[str]:
    """The commands on a page of the documentation, block by block."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def run_block(block: str, project: Path) -> None:
    """Run commands as a script would, without a terminal, after committing as the page says."""
    if git(project, "status", "--porcelain"):
        commit_all(project, "Work")
    ours = re.sub(r"^uvx ", f"{TOOLS}/", block, flags=re.MULTILINE)
    run("bash", "-euc", ours, cwd=project)


def test_the_commands_that_the_documentation_names_work(own_template: Path, tmp_path: Path) -> None:
    """Nothing is asked, all answers stay, and the newest release is applied."""
    git(own_template, "tag", "v1.0.0")
    answers = {"database": "mysql", "project_name": "Ours", "include_example": False}
    project = bake_with_cookiecutter(own_template, tmp_path / "project", answers)
    create = [TOOLS / "cruft", "create", own_template, "--extra-context", json.dumps(answers)]
    run(*create, "--no-input", "--output-dir", "cruft", cwd=tmp_path)
    theirs = tmp_path / "cruft" / "ours"
    for folder in (project, theirs):
        commit_all(folder, "Begin")
    release(own_template)
    git(own_template, "tag", "v1.1.0")

    commands = blocks("updating.md")
    assert len(commands) == 6
    for block in commands:
        run_block(block, theirs if "cruft" in block else project)

    for folder, tenancy in ((project, "row"), (theirs, "none")):
        after = answers | {"use_celery": True, "multi_tenancy": tenancy}
        assert recorded(folder).items() >= after.items()
        commit = git(own_template, "rev-parse", f"{recorded(folder)['_commit']}^{{commit}}")
        assert commit == git(own_template, "rev-parse", "v1.1.0^{commit}")
        assert (folder / "docs" / "new.md").read_text() == "News for Ours.\n"
        assert (folder / "app/worker.py").exists()


def test_every_release_is_listed() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert re.findall(r"^## (\d+\.\d+\.\d+)", changelog, re.MULTILINE) == list(RELEASES)[::-1]


def test_projects_of_every_release_follow(tmp_path: Path) -> None:
    for version, commit in RELEASES.items():
        folder = tmp_path / version
        clone = folder / "template"
        run("git", "clone", "--quiet", ROOT, clone, cwd=tmp_path)
        git(clone, "checkout", "--quiet", "-b", "users", commit)
        git(clone, "tag", f"v{version}")
        project = bake_with_cookiecutter(clone, folder / "project", {})
        (project / "README.md").write_text("Ours.\n")
        commit_all(project, "Ours")

        for path in clone.iterdir():
            if path.name != ".git":
                run("rm", "-rf", path, cwd=clone)
        export(clone)
        update(project)

        assert (project / "README.md").read_text().startswith("Ours.")
        assert tree(project).keys() == tree(bake_with_copier(clone, folder / "new", {})).keys()
