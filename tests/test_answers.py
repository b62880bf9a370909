"""Any sensible answer works; any other is refused with a clear message, and nothing is left behind."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from pytest_cookies.plugin import Cookies

from tests.combinations import largest
from tests.template import (
    ROOT,
    SOURCE,
    TOOLS,
    bake_with_cookiecutter,
    bake_with_copier,
    environment,
    recorded,
    run,
    tree,
)

TEXTS = ["project_name", "description", "author_name"]
AWKWARD = [
    "O'Brien",
    '"quoted"',
    "ünïcode",
    "class",
    "two  spaces",
    "back\\slash \\n",
    "100 % # sure",
    "rocket 🚀",
    "<b>&amp;",
    "yes",
    "0123",
    "x" * 60,
]
COPY = ["copy", "--defaults", "--quiet", "--vcs-ref", "HEAD"]
BAD = [
    ("project_name", ""),
    ("project_name", " "),
    ("project_name", "x" * 61),
    ("project_name", "two\nlines"),
    ("project_name", "curly { braces }"),
    ("project_name", "a line and its end\n"),
    ("project_slug", "Capital"),
    ("project_slug", "-hyphen"),
    ("project_slug", "under_score"),
    ("project_slug", "dots.."),
    ("project_slug", "con"),
    ("description", "x" * 201),
    ("author_name", "tab\there"),
    ("author_email", "no-address"),
    ("author_email", 'a"b@example.com'),
]


@pytest.mark.parametrize("text", AWKWARD)
def test_an_awkward_text_works_in_every_question(template: Path, tmp_path: Path, text: str) -> None:
    answers = dict.fromkeys(TEXTS, text)
    project = bake_with_cookiecutter(template, tmp_path / "cookiecutter", answers)
    other = bake_with_copier(template, tmp_path / "copier", answers)

    assert tree(project) == tree(other)
    assert recorded(project) == recorded(other)
    about = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert about["description"] == text
    assert about["authors"][0]["name"] == text
    settings: dict[str, str] = {}
    source = (project / "app/core/settings.py").read_text(encoding="utf-8")
    line = next(line.strip() for line in source.splitlines() if "project_name: str" in line)
    exec(line, settings)  # noqa: S102, a line of our own
    assert settings["project_name"] == text
    for name in ("compose.yaml", ".github/workflows/ci.yml", ".pre-commit-config.yaml"):
        assert yaml.safe_load((project / name).read_text(encoding="utf-8"))
    run(TOOLS / "ruff", "format", "--check", "--no-cache", ".", cwd=project)


def test_an_awkward_name_is_the_same_in_the_example_file(template: Path, tmp_path: Path) -> None:
    """The project's own test says so, which reads that file as an `.env`."""
    answers = {"project_name": r"""O'Brien's "back\slash" \n 100 % # <&>"""}
    project = bake_with_cookiecutter(template, tmp_path, answers)

    pytest_there = [ROOT / "build/house/bin/pytest", "-q", "-p", "no:cacheprovider"]
    run(*pytest_there, "tests/test_settings.py", "-k", "example_file", cwd=project)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Acme API", "acme-api"),
        ("O'Brien & Söhne", "obrien-soehne"),
        ("snake_case  name", "snake-case-name"),
        ("日本", "my-service"),
    ],
)
def test_a_slug_is_proposed(template: Path, tmp_path: Path, name: str, slug: str) -> None:
    project = bake_with_cookiecutter(template, tmp_path, {"project_name": name})

    assert project.name == slug


def test_no_default_is_left_of_what_was_answered(template: Path, tmp_path: Path) -> None:
    answers = largest() | dict.fromkeys(TEXTS, "Zebra")
    answers |= {"project_slug": "zebra", "author_email": "zebra@example.org"}

    for name, content in tree(bake_with_cookiecutter(template, tmp_path, answers)).items():
        assert not re.search(r"acme.api|your name|you@", content.decode(), re.IGNORECASE), name


def attempt(
    *command: str | Path, cwd: Path, stdin: str = "", **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run a command that may fail."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment(PWD=str(cwd), **environ),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def line(question: str) -> str:
    """The message for a bad answer."""
    return f"{question}: {SOURCE['_validators'][question]['message']}\n"


@pytest.mark.parametrize(("question", "answer"), BAD)
def test_a_bad_answer_is_refused_in_the_same_words(
    template: Path, tmp_path: Path, question: str, answer: str
) -> None:
    given = f"{question}={answer}"
    told = attempt(TOOLS / "cookiecutter", "--no-input", template, given, cwd=tmp_path)
    other = attempt(TOOLS / "copier", *COPY, "--data", given, template, "project", cwd=tmp_path)

    assert (told.returncode, told.stdout, told.stderr) == (1, line(question), "")
    assert other.returncode != 0
    assert SOURCE["_validators"][question]["message"] in other.stdout + other.stderr
    assert list(tmp_path.iterdir()) == []


def test_all_bad_answers_are_told_at_once(template: Path, tmp_path: Path) -> None:
    bad = ["author_email=no-address", "project_slug=Capital", "project_name= "]
    told = attempt(TOOLS / "cookiecutter", "--no-input", template, *bad, cwd=tmp_path)

    assert told.stdout == line("project_name") + line("project_slug") + line("author_email")
    assert told.stderr == ""


def test_a_bad_answer_is_asked_again(template: Path, tmp_path: Path) -> None:
    """At once, so that no other answer is lost."""
    typed = ["curly {{ braces }}", "Ours", "Capital", "", "ours", *[""] * 8]
    lines = "".join(f"{answer}\n" for answer in typed)
    told = attempt(TOOLS / "cookiecutter", template, cwd=tmp_path, stdin=lines)

    assert told.returncode == 0, told.stderr
    assert told.stdout.count(line("project_name")) == 1
    assert told.stdout.count(line("project_slug")) == 2
    answers = recorded(tmp_path / "ours")
    assert (answers["project_name"], answers["description"]) == ("Ours", "The Ours service.")


def test_what_looks_like_a_template_is_no_answer(template: Path, tmp_path: Path) -> None:
    """Cookiecutter itself refuses this, as it would render it."""
    given = "project_name={{ braces }}"
    told = attempt(TOOLS / "cookiecutter", "--no-input", template, given, cwd=tmp_path)

    assert told.returncode == 1
    assert told.stdout.startswith("Unable to render variable 'project_name'")
    assert list(tmp_path.iterdir()) == []


def everything(folder: Path) -> dict[str, bytes | None]:
    """Every file and folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


AGAIN = [
    ["cookiecutter", "TEMPLATE", "--no-input", "--overwrite-if-exists"],
    ["cookiecutter", "TEMPLATE", "--no-input", "--overwrite-if-exists", "--skip-if-file-exists"],
    ["cookiecutter", "TEMPLATE", "--no-input"],
    ["cookiecutter", "TEMPLATE", "--replay", "--overwrite-if-exists", "--skip-if-file-exists"],
    ["cruft", "create", "TEMPLATE", "--no-input", "--overwrite-if-exists"],
]


@pytest.mark.parametrize(
    ("command", "what"),
    [*((command, "project") for command in AGAIN), (AGAIN[0], "note"), (AGAIN[0], "file")],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_nothing_that_exists_is_touched(
    template: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    command: list[str],
    what: str,
) -> None:
    """Neither a project with other options, nor a folder with a file of the user's, nor a file."""
    home = {"HOME": str(tmp_path_factory.mktemp("home"))}  # where answers for replays are kept
    if "--replay" in command:
        run(TOOLS / "cookiecutter", template, "--no-input", cwd=tmp_path, **home)
        shutil.rmtree(tmp_path / "acme-api")
    target = tmp_path / "acme-api"
    if what == "project":
        bake_with_cookiecutter(template, tmp_path, largest())
        (target / "app/features/tenants/service.py").write_text("# Ours.\n", encoding="utf-8")
    elif what == "note":
        target.mkdir()
        (target / "note.txt").write_text("Ours.")
    else:
        target.write_text("Ours.")
    before = everything(tmp_path)

    words = [template if word == "TEMPLATE" else word for word in command[1:]]
    told = attempt(TOOLS / command[0], *words, cwd=tmp_path, **home)

    assert told.returncode != 0
    assert everything(tmp_path) == before
    if "--overwrite-if-exists" in command and "--no-input" in command and command[0] != "cruft":
        assert (told.stdout, told.stderr) == (f"acme-api {SOURCE['_in_use']}\n", "")
    elif "--overwrite-if-exists" in command:
        assert SOURCE["_in_use"] in told.stderr


@pytest.mark.parametrize("repository", [False, True], ids=["empty", "repository"])
def test_an_empty_folder_is_used(template: Path, tmp_path: Path, *, repository: bool) -> None:
    (tmp_path / "acme-api").mkdir()
    if repository:
        run("git", "init", "--quiet", "acme-api", cwd=tmp_path)
    head = everything(tmp_path / "acme-api")

    command = [TOOLS / "cookiecutter", "--no-input", "--overwrite-if-exists", template]
    run(*command, cwd=tmp_path)

    assert tree(tmp_path / "acme-api") == tree(bake_with_copier(template, tmp_path / "other", {}))
    assert everything(tmp_path / "acme-api").items() >= head.items()


def test_an_unknown_choice_is_refused(cookies: Cookies, template: Path) -> None:
    result = cookies.bake(extra_context={"database": "oracle"}, template=str(template))

    assert result.exit_code != 0
    assert "oracle" in str(result.exception)


MAKE = {
    "cookiecutter": ["cookiecutter", "TEMPLATE", "--no-input"],
    "copier": ["copier", "copy", "--defaults", "--vcs-ref", "HEAD", "TEMPLATE", "acme-api"],
}


def make(engine: str, template: Path, folder: Path, **environ: str) -> str:
    """The output of an engine that generates a project."""
    command, *words = MAKE[engine]
    words = [str(template) if word == "TEMPLATE" else word for word in words]
    done = run(TOOLS / command, *words, cwd=folder, **environ)
    said = done.stdout + done.stderr
    assert "\x1b" not in said[said.index("is ready in") :], "colors where there is no terminal"
    return said


def test_the_first_commands_work(template: Path, tmp_path: Path) -> None:
    """The first commit has all that the image is built from, the lock of all versions too."""
    other = tmp_path / "other"
    other.mkdir()
    commands, same = (
        re.findall(r"^  (\S.*)", said[said.index("\nNext (") :], re.MULTILINE)
        for said in (make("cookiecutter", template, tmp_path), make("copier", template, other))
    )
    assert commands == same
    assert commands[-1] == "uv run app dev"
    who = {
        f"GIT_{role}_{what}": "user@example.com"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    run("bash", "-euc", "\n".join(commands[:-1]), cwd=tmp_path, **who)

    project = tmp_path / "acme-api"
    assert run("git", "status", "--porcelain", cwd=project).stdout == ""
    run("uv", "lock", "--check", cwd=project)
    run("git", "clone", "--quiet", project, "clone", cwd=tmp_path)
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (project / "Dockerfile").read_text(), re.M)
    sources = {source for sources in copied for source in sources.split()}
    assert "uv.lock" in sources
    admitted = set(re.findall(r"^!(.*)", (project / ".dockerignore").read_text(), re.MULTILINE))
    for path in (tmp_path / "clone").iterdir():
        if path.name not in sources & admitted:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    run("uv", "sync", "--quiet", "--locked", "--no-dev", cwd=tmp_path / "clone")
    run(tmp_path / "clone/.venv/bin/app", "--help", cwd=tmp_path / "clone")


@pytest.mark.parametrize("engine", MAKE)
def test_a_template_without_git_says_how_to_update_later(
    template: Path, tmp_path: Path, engine: str
) -> None:
    copied = tmp_path / "template"
    shutil.copytree(template, copied, ignore=shutil.ignore_patterns(".git"))
    said = make(engine, Path("template"), tmp_path)

    assert "_commit: <commit>" in said
    assert "the template has no git history" in said
    answers = recorded(tmp_path / "acme-api")
    assert "_commit" not in answers
    assert "@" not in str(answers).replace("you@example.com", "")


@pytest.mark.parametrize("engine", MAKE)
def test_without_git_it_says_that_git_is_missing(
    template: Path, tmp_path: Path, engine: str
) -> None:
    said = make(engine, template, tmp_path, PATH=str(tmp_path))

    assert "_commit: <commit>" in said
    assert "git is not installed" in said
    assert "_commit" not in recorded(tmp_path / "acme-api")
