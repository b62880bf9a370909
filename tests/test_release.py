"""`make release` makes a release or leaves everything as it was; what releases left behind is documented."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.template import HOUSE, ROOT, commit_all, edit, environment, git, run
from tests.updates import RELEASES, require
from tools import release as tool

GENERATORS = ["write_copier.py", "write_readme.py", "write_initial_migration.py"]
CLEAN = "## Unreleased\n\n- A change.\n"


def prepared(folder: Path) -> Path:
    """Leave one unreleased change and no release, so that a release can be made."""
    head = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").partition("## Unreleased")[0]
    (folder / "CHANGELOG.md").write_text(head + CLEAN, encoding="utf-8")
    (folder / "tests/releases.toml").write_text("[releases]\n", encoding="utf-8")
    (folder / "build").mkdir()
    (folder / "build/house").symlink_to(ROOT / "build/house")
    commit_all(folder, "Without releases")
    git(folder, "config", "user.name", "Template Tests")
    git(folder, "config", "user.email", "tests@example.com")
    return folder


@pytest.fixture
def whole(own_template: Path) -> Path:
    """The template, ready for a release."""
    return prepared(own_template)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """What a release consists of, ready for one; generated files are always up to date."""
    folder = tmp_path / "repository"
    for name in ("tools", "tests"):
        (folder / name).mkdir(parents=True)
    for name in (".gitignore", "pyproject.toml", "tools/release.py"):
        shutil.copy(ROOT / name, folder / name)
    for name in GENERATORS:
        (folder / "tools" / name).touch()
    return prepared(folder)


def release(repository: Path, version: str, owner: str = "us") -> subprocess.CompletedProcess[str]:
    """Run the tool as `make release` does."""
    return subprocess.run(
        [
            sys.executable,
            repository / "tools/release.py",
            version,
            *(["--owner", owner] * bool(owner)),
        ],
        cwd=repository,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def state(repository: Path) -> list[str]:
    """All that a release changes."""
    return [
        git(repository, "rev-parse", "HEAD"),
        git(repository, "tag"),
        git(repository, "status", "--porcelain"),
        git(repository, "diff", "HEAD"),
    ]


def unreleased(repository: Path, text: str) -> None:
    """Commit this as what is unreleased."""
    log = repository / "CHANGELOG.md"
    edit(log, CLEAN, text)
    commit_all(repository, "Changes")


def test_two_releases(repository: Path) -> None:
    first = release(repository, "0.1.0")
    assert first.returncode == 0, first.stderr
    assert "git push --atomic origin HEAD v0.1.0" in first.stdout
    edit(
        repository / "CHANGELOG.md", "## Unreleased\n", "## Unreleased\n\n### Security\n\n- Fix.\n"
    )
    commit_all(repository, "A fix")
    second = release(repository, "0.2.0")
    assert second.returncode == 0, second.stderr

    log = (repository / "CHANGELOG.md").read_text(encoding="utf-8")
    parts = re.sub(r"\d{4}-\d\d-\d\d", "TODAY", log[log.index("## Unreleased") :])
    assert parts == (
        "## Unreleased\n\n"
        "## 0.2.0 (TODAY)\n\n### Security\n\n- Fix.\n\n"
        "## 0.1.0 (TODAY)\n\n- A change.\n\n### Security\n\nNothing to apply.\n"
    )
    named = tomllib.loads((repository / "tests/releases.toml").read_text(encoding="utf-8"))
    assert named["releases"] == {
        version: git(repository, "rev-parse", f"v{version}^{{commit}}")
        for version in ("0.1.0", "0.2.0")
    }
    assert git(repository, "log", "--format=%s", "-5").splitlines() == [
        "Record release 0.2.0",
        "Release 0.2.0",
        "A fix",
        "Record release 0.1.0",
        "Release 0.1.0",
    ]
    at_tag = tomllib.loads(git(repository, "show", "v0.2.0:pyproject.toml"))
    assert at_tag["project"]["version"] == "0.2.0"
    assert git(repository, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("unreleased", "released"),
    [
        ("- A change.", "- A change.\n\n### Security\n\nNothing to apply."),
        ("- A change.\n\n### Security", "- A change.\n\n### Security\n\nNothing to apply."),
        (
            "### Security\n\n### Fixed\n\n- A bug.",
            "### Security\n\nNothing to apply.\n\n### Fixed\n\n- A bug.",
        ),
        ("### Security\n\n- A hole.", "### Security\n\n- A hole."),
    ],
)
@pytest.mark.parametrize("rest", ["", "\n## 0.1.0 (2026-01-02)\n\n- The first.\n"])
def test_each_release_says_what_to_do_for_security(
    unreleased: str, released: str, rest: str
) -> None:
    changelog = f"# Changes\n\n## Unreleased\n\n{unreleased}\n{rest}"

    assert tool.with_release(changelog, "0.2.0", "2026-02-03") == (
        f"# Changes\n\n## Unreleased\n\n## 0.2.0 (2026-02-03)\n\n{released}\n{rest}"
    )


def test_only_the_version_of_the_project_is_changed() -> None:
    project = '[project]\nname = "x"\nversion = "{}"\n\n[tool.other]\nversion = "7"\n'

    assert tool.with_version(project.format("0.1.0"), "0.2.0") == project.format("0.2.0")


def test_a_release_writes_whose_repository_it_is(whole: Path) -> None:
    released = release(whole, "0.9.0", owner="us")

    assert released.returncode == 0, released.stderr
    for page in ("README.md", "docs/index.md"):
        assert "gh:us/cookiecutter-fastapi-service" in git(whole, "show", f"v0.9.0:{page}"), page
        assert "gh:org/" not in git(whole, "show", f"v0.9.0:{page}"), page
    assert release(whole, "0.9.1", owner="").stderr.endswith("CHANGELOG.md is empty\n")


@pytest.mark.parametrize(
    ("owner", "reason"),
    [
        ("", "whose repository is it? Add OWNER=, a user or an organization"),
        ("us/them", "'us/them' is not a user or an organization"),
    ],
)
def test_without_an_owner_there_is_no_release(repository: Path, owner: str, reason: str) -> None:
    project = repository / "pyproject.toml"
    placeholder = tool.with_owner(project.read_text(encoding="utf-8"), tool.PLACEHOLDER)
    project.write_text(placeholder + "\n", encoding="utf-8")
    commit_all(repository, "As at first")

    assert_refused(repository, "0.9.0", reason, owner)


def leave_a_file(repository: Path) -> None:
    (repository / "new.txt").write_text("", encoding="utf-8")


def record_a_newer_one(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    edit(repository / "tests/releases.toml", "[releases]", f'[releases]\n"0.10.0" = "{commit}"')
    commit_all(repository, "A release")


def tag(repository: Path) -> None:
    git(repository, "tag", "v0.9.0")


def change_a_question(repository: Path) -> None:
    edit(repository / "cookiecutter.json", "Name of the service", "The name of the service")
    commit_all(repository, "Another question")


def change_a_model(repository: Path) -> None:
    models = repository / "{{cookiecutter.project_slug}}/app/features/products/models.py"
    edit(models, "String(64)", "String(63)")
    commit_all(repository, "Another model")


def fail_at_the_second_commit(repository: Path) -> None:
    hook = repository / ".git/hooks/commit-msg"
    hook.write_text("#!/bin/sh\nif grep -q Record $1; then echo no >&2; exit 1; fi\n")
    hook.chmod(0o755)


@pytest.mark.parametrize(
    ("prepare", "version", "reason"),
    [
        (lambda _: None, "1.0", "'1.0' is not a version of SemVer, such as 1.2.3"),
        (lambda _: None, "v1.0.0", "'v1.0.0' is not a version of SemVer, such as 1.2.3"),
        (lambda _: None, "01.0.0", "'01.0.0' is not a version of SemVer, such as 1.2.3"),
        (lambda _: None, "", "'' is not a version of SemVer, such as 1.2.3"),
        (record_a_newer_one, "0.9.0", "0.9.0 is not newer than 0.10.0"),
        (record_a_newer_one, "0.10.0", "0.10.0 is not newer than 0.10.0"),
        (tag, "0.9.0", "there is already a tag v0.9.0"),
        (leave_a_file, "0.9.0", "commit or stash your changes first: new.txt"),
        (
            lambda folder: unreleased(folder, "## Unreleased\n\n### Security\n"),
            "0.9.0",
            "the section Unreleased of CHANGELOG.md is empty",
        ),
        (fail_at_the_second_commit, "0.9.0", "`git commit` failed: no"),
    ],
)
def test_what_is_refused_changes_nothing(
    repository: Path, prepare: Callable[[Path], None], version: str, reason: str
) -> None:
    prepare(repository)
    assert_refused(repository, version, reason)


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (change_a_question, "copier.yml is out of date with cookiecutter.json: run `make copier`"),
        (
            change_a_model,
            "0001_initial.py is out of date with the models: run `make initial-migration`",
        ),
    ],
)
def test_a_generated_file_that_is_out_of_date_is_refused(
    whole: Path, prepare: Callable[[Path], None], reason: str
) -> None:
    prepare(whole)
    assert_refused(whole, "0.9.0", reason)


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise SystemExit(1)", "`tools/{} --check` failed"),
        ("raise KeyError('what')", "KeyError: 'what'"),
        ("import sys; print('a\\nb', flush=True); sys.exit(' c')", "b"),
    ],
)
def test_a_check_that_fails_says_why_in_its_last_line(
    repository: Path, name: str, code: str, reason: str
) -> None:
    (repository / "tools" / name).write_text(code, encoding="utf-8")
    commit_all(repository, "A check that fails")

    assert_refused(repository, "0.9.0", reason.format(name))


def assert_refused(repository: Path, version: str, reason: str, owner: str = "us") -> None:
    """There is no release, for this reason, and nothing has changed."""
    before = state(repository)

    refused = release(repository, version, owner)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == f"No release: {reason}\n"
    assert state(repository) == before


def test_every_release_is_listed() -> None:
    """A release itself is listed only in the change log: the next commit records it."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = re.findall(r"^## (\d+\.\d+\.\d+)", changelog, re.MULTILINE)

    newest_first = [*RELEASES][::-1]
    assert listed in (newest_first, [project["version"], *newest_first])


def generated_by(commit: str, repository: Path) -> set[str]:
    """The files of the template at a commit, without migrations, which belong to users."""
    house = f"{HOUSE.name}/"
    names = git(repository, "ls-tree", "-r", "--name-only", "-z", commit, house).split("\0")
    files = {name.removeprefix(house) for name in names if name}
    return {name for name in files if not name.startswith("migrations/versions/")}


def unnamed(before: set[str], now: set[str], page: str) -> list[str]:
    """The files that are gone and that the page does not name."""
    section = page.partition("\n## Moved and deleted files\n")[2].partition("\n## ")[0]
    return sorted(before - now - {*re.findall(r"`([^`\n]+)`", section)})


def test_what_releases_had_and_is_gone_is_named() -> None:
    page = (ROOT / "docs/updating.md").read_text(encoding="utf-8")
    now = {path for path in generated_by("HEAD", ROOT) if (HOUSE / path).exists()}
    for commit in RELEASES.values():
        require(commit, ROOT)
        assert unnamed(generated_by(commit, ROOT), now, page) == []


def test_a_moved_file_must_be_named(own_template: Path) -> None:
    before = generated_by("HEAD", own_template)
    house = own_template / HOUSE.name
    (house / "app/seed.py").rename(house / "app/demo.py")
    (house / "migrations/versions/0001_initial.py").unlink()
    commit_all(own_template, "Move")
    now = generated_by("HEAD", own_template)
    page = "`app/seed.py`\n\n## Moved and deleted files\n\n{}\n\n## With cruft\n"

    assert unnamed(before, now, page.format("None.")) == ["app/seed.py"]
    assert unnamed(before, now, page.format("`app/seed.py` is `app/demo.py`.")) == []


def test_a_shallow_clone_says_what_it_lacks(own_template: Path, tmp_path: Path) -> None:
    commit = git(own_template, "rev-parse", "HEAD")
    git(own_template, "commit", "--quiet", "--allow-empty", "--message", "Later")
    clone = tmp_path / "clone"
    run("git", "clone", "--quiet", "--depth=1", own_template.as_uri(), clone, cwd=tmp_path)

    require(commit, own_template)
    with pytest.raises(pytest.fail.Exception, match="run `git fetch --unshallow`"):
        require(commit, clone)
