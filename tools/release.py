"""Make a release: the change log, the version, two commits and a tag, or nothing at all.

The first commit is the release, and is tagged. The second one records its id in `tests/releases.toml`, as a
commit cannot contain its own. Nothing is pushed.
"""

import argparse
import os
import re
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parent.parent
CHANGELOG = ROOT / "CHANGELOG.md"
PROJECT = ROOT / "pyproject.toml"
RELEASES = ROOT / "tests" / "releases.toml"
HOUSE_TOOLS = ROOT / "build" / "house" / "bin"

NUMBER = r"(?:0|[1-9]\d*)"
VERSION = re.compile(rf"{NUMBER}\.{NUMBER}\.{NUMBER}")
OWNER = re.compile(r'^owner = "(.*?)"', re.MULTILINE)
PLACEHOLDER = "org"
UNRELEASED = re.compile(r"^## Unreleased\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
SECURITY = re.compile(r"^### Security\n(.*?)(?=^### |\Z)", re.MULTILINE | re.DOTALL)
NOTHING = "### Security\n\nNothing to apply.\n"


class RefusedError(Exception):
    """Why there is no release, on one line."""


def git(*arguments: str) -> str:
    """The output of git; what it says is the reason if it fails."""
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = (done.stderr or done.stdout).partition("\n")[0]
        raise RefusedError(f"`git {arguments[0]}` failed: {said}")
    return done.stdout.strip()


def as_numbers(version: str) -> tuple[int, ...]:
    """A version in the order of SemVer."""
    return tuple(int(part) for part in version.split("."))


def recorded() -> list[str]:
    """The versions that were released."""
    return [*tomllib.loads(RELEASES.read_text(encoding="utf-8"))["releases"]]


def refuse_version(version: str) -> None:
    """A version is SemVer, newer than every other one, and has no tag yet."""
    if not VERSION.fullmatch(version):
        raise RefusedError(f"{version!r} is not a version of SemVer, such as 1.2.3")
    newest = max(recorded(), key=as_numbers, default="")
    if newest and as_numbers(version) <= as_numbers(newest):
        raise RefusedError(f"{version} is not newer than {newest}")
    if git("tag", "--list", f"v{version}"):
        raise RefusedError(f"there is already a tag v{version}")


def refuse_dirty_tree() -> None:
    """A release consists of what is committed."""
    if changed := git("status", "--porcelain").splitlines():
        raise RefusedError(f"commit or stash your changes first: {changed[0].split(maxsplit=1)[1]}")


def refuse_owner(given: str) -> None:
    """Those who read how to use it need the address of the repository."""
    if given and not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?", given):
        raise RefusedError(f"{given!r} is not a user or an organization")
    known = OWNER.search(PROJECT.read_text(encoding="utf-8"))
    if not given and (known is None or known[1] == PLACEHOLDER):
        raise RefusedError("whose repository is it? Add OWNER=, a user or an organization")


def refuse_stale_files() -> None:
    """The generated files are what their sources say."""
    checks = {
        "write_copier.py": Path(sys.executable),
        "write_readme.py": Path(sys.executable),
        "write_initial_migration.py": HOUSE_TOOLS / "python",
    }
    environ = os.environ | {"PATH": f"{HOUSE_TOOLS}{os.pathsep}{os.environ['PATH']}"}
    for name, python in checks.items():
        command = [str(python), "-B", str(ROOT / "tools" / name), "--check"]
        done = subprocess.run(
            command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False
        )
        if done.returncode:
            said = (done.stdout or done.stderr).strip().rpartition("\n")[2]
            raise RefusedError(said or f"`tools/{name} --check` failed")


def with_release(changelog: str, version: str, day: str) -> str:
    """The change log with what was unreleased under this version, and room for what comes."""
    found = UNRELEASED.search(changelog)
    if not found or not re.search(r"^[^#\s]", found[1], re.MULTILINE):
        raise RefusedError("the section Unreleased of CHANGELOG.md is empty")
    entries = found[1].strip() + "\n"
    security = SECURITY.search(entries)
    if security and not security[1].strip():
        entries = SECURITY.sub(NOTHING + "\n", entries).strip() + "\n"
    elif not security:
        entries += "\n" + NOTHING
    section = f"## Unreleased\n\n## {version} ({day})\n\n{entries}"
    rest = changelog[found.end() :]
    return changelog[: found.start()] + section + ("\n" + rest if rest else "")


def with_version(project: str, version: str) -> str:
    """`pyproject.toml` with this version."""
    return re.sub(r'^version = ".*"$', f'version = "{version}"', project, count=1, flags=re.M)


def with_owner(project: str, owner: str) -> str:
    """`pyproject.toml` with the owner of the repository, if one is given."""
    return OWNER.sub(f'owner = "{owner}"', project, count=1) if owner else project


def commit(message: str) -> str:
    """Commit what was written; return the commit's id."""
    git("commit", "--quiet", "--all", "--message", message)
    return git("rev-parse", "HEAD")


def write(version: str, changelog: str, owner: str) -> None:
    """The two commits and the tag."""
    CHANGELOG.write_text(changelog, encoding="utf-8")
    project = PROJECT.read_text(encoding="utf-8")
    PROJECT.write_text(with_owner(with_version(project, version), owner), encoding="utf-8")
    subprocess.run([sys.executable, "-B", str(ROOT / "tools" / "write_readme.py")], check=True)
    made = commit(f"Release {version}")
    git("tag", "--annotate", "--message", f"Release {version}", f"v{version}")
    with RELEASES.open("a", encoding="utf-8") as file:
        file.write(f'"{version}" = "{made}"\n')
    commit(f"Record release {version}")


def undo(version: str, start: str) -> None:
    """Restore what was there; the tree was clean, so nothing is lost."""
    git("reset", "--quiet", "--hard", start)
    if git("tag", "--list", f"v{version}"):
        git("tag", "--delete", f"v{version}")


def release(version: str, owner: str) -> None:
    """Check everything, then write everything."""
    refuse_version(version)
    refuse_owner(owner)
    refuse_dirty_tree()
    day = datetime.now(UTC).date().isoformat()
    changelog = with_release(CHANGELOG.read_text(encoding="utf-8"), version, day)
    refuse_stale_files()
    start = git("rev-parse", "HEAD")
    try:
        write(version, changelog, owner)
    except BaseException:
        undo(version, start)
        raise


def main() -> int:
    """Release, or say in one line why not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", help="such as 1.2.3")
    parser.add_argument("--owner", default="", help="whose repository it is")
    given = parser.parse_args()
    version = given.version
    try:
        release(version, given.owner)
    except RefusedError as reason:
        print(f"No release: {reason}", file=sys.stderr)
        return 1
    print(f"Released {version}. Run `make test`, then publish it:")
    print(f"  git push --atomic origin HEAD v{version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
