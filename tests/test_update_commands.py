"""The commands that the documentation names for updates work, with both tools."""

import json
import re
from pathlib import Path

from tests.template import ROOT, TOOLS, bake_with_cookiecutter, commit_all, edit, git, recorded, run
from tests.test_update import HOUSE, release, version_of
from tests.updates import conflicts


def test_copier_continues_what_cruft_began(own_template: Path, tmp_path: Path) -> None:
    """The answers file says which version a project has, after each of them."""
    run(TOOLS / "cruft", "create", own_template, "--no-input", cwd=tmp_path)
    project = tmp_path / "acme-api"
    run(TOOLS / "cruft", "diff", "--exit-code", cwd=project)
    commit_all(project, "Begin")

    release(own_template)
    run(TOOLS / "cruft", "update", "--skip-apply-ask", cwd=project)
    assert version_of(project, own_template) == git(own_template, "rev-parse", "HEAD")
    commit_all(project, "Updated")
    run(TOOLS / "cruft", "check", cwd=project)

    settings = own_template / HOUSE / "app/core/settings.py"
    edit(settings, "Field(default=20, ge=0)", "Field(default=10, ge=0)")
    commit_all(own_template, "A still newer template")
    run(TOOLS / "copier", "update", "--defaults", cwd=project)

    assert "Field(default=10" in (project / "app/core/settings.py").read_text(encoding="utf-8")
    assert not conflicts(project)
    assert version_of(project, own_template) == git(own_template, "rev-parse", "HEAD")


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
