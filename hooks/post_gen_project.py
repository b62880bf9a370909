"""Delete what the answers leave out (`_prune` in `cookiecutter.json`), and record the template's version."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from io import TextIOWrapper
from pathlib import Path

answers = json.loads(r"""{{ cookiecutter | tojson }}""")
PROJECT = Path.cwd()
ANSWERS_FILE = PROJECT / ".copier-answers.yml"
STOOD = Path(os.environ.get("PWD", PROJECT.parent)).resolve()  # the user's working directory


def prune() -> None:
    """Delete the paths whose condition the answers do not meet."""
    for rule in answers["_prune"]:
        if any(answers[option] != wanted for option, wanted in rule["keep_when"].items()):
            for name in rule["paths"]:
                path = PROJECT / name
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def template_folder() -> Path:
    """The template on this disk; a relative path is relative to the user's working directory."""
    given = answers.get("_repo_dir") or answers["_template"]
    candidates = [place / given for place in (STOOD, PROJECT.parent)]
    found = [path for path in candidates if (path / "cookiecutter.json").is_file()]
    return (found or candidates)[0].resolve()


def git(folder: Path, *arguments: str) -> str:
    """The output of git in `folder`; empty if it fails."""
    try:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def commit(folder: Path) -> str:
    """The template's version; empty if `folder` is not the top of a repository."""
    top = git(folder, "rev-parse", "--show-toplevel")
    if not top or Path(top).resolve() != folder.resolve():
        return ""
    return git(folder, "describe", "--tags", "--always")


def source(folder: Path) -> str:
    """The source of updates: the URL that the user gave, or the folder."""
    given = answers["_template"]
    if given.startswith("bb:"):
        return f"git+https://bitbucket.org/{given.removeprefix('bb:')}.git"
    return given if "://" in given or given.startswith(("gh:", "gl:", "git@")) else str(folder)


def note_origin() -> str:
    """Complete `.copier-answers.yml`, which `copier update` reads; returns the version."""
    folder = template_folder()
    # cruft passes the commit that it uses, and compares two of them: its clone is at the newest.
    version = answers.get("_commit") or commit(folder)
    lines = ANSWERS_FILE.read_text(encoding="utf-8").splitlines(keepends=True)
    filled = [
        line.replace('"@commit@"', json.dumps(version)).replace(
            '"@src@"', json.dumps(source(folder))
        )
        for line in lines
        if version or '"@commit@"' not in line
    ]
    ANSWERS_FILE.write_text("".join(filled), encoding="utf-8", newline="\n")
    return version


def compared() -> bool:
    """Whether cruft only generates this for comparison, in a temporary folder."""
    return "_commit" in answers and Path(tempfile.gettempdir()).resolve() in PROJECT.parents


def say_what_comes_next(version: str) -> None:
    """What was generated, the first commands to run, and what updates lack."""
    folder = PROJECT.relative_to(STOOD) if STOOD in PROJECT.parents else PROJECT
    if isinstance(sys.stdout, TextIOWrapper):  # on Windows it may lack characters of the path
        sys.stdout.reconfigure(errors="replace")
    print("\n".join(answers["__summary"]).replace("@folder@", shlex.quote(str(folder))))
    if not version:
        missing = not shutil.which("git")
        reason = "git is not installed" if missing else "the template has no git history here"
        print(answers["__unversioned"].replace("@reason@", reason))


def main() -> None:
    """Finish the project and print the next steps."""
    prune()
    version = note_origin()
    if not compared():
        say_what_comes_next(version)


main()
