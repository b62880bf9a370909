"""Any sensible answer works; any other is refused in plain words, and nothing is left behind."""

import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from pytest_cookies.plugin import Cookies

from tests.template import (
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
    ("project_name", "curly {{ braces }}"),
    ("project_slug", "Capital"),
    ("project_slug", "-hyphen"),
    ("project_slug", "under_score"),
    ("project_slug", "dots.."),
    ("project_slug", "con"),
    ("description", "x" * 201),
    ("author_name", "tab\there"),
    ("author_email", "nobody"),
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


@pytest.mark.parametrize(("question", "answer"), BAD)
def test_a_bad_answer_is_refused_in_the_same_words(
    template: Path, tmp_path: Path, question: str, answer: str
) -> None:
    message = SOURCE["_validators"][question]["message"]
    for command in (
        [TOOLS / "cookiecutter", "--no-input", template, f"{question}={answer}"],
        [TOOLS / "copier", *COPY, "--data", f"{question}={answer}", template, "project"],
    ):
        done = subprocess.run(
            [str(part) for part in command],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        said = " ".join((done.stdout + done.stderr).split())
        assert done.returncode != 0
        assert " ".join(message.split()) in said
        assert list(tmp_path.iterdir()) == []


def test_an_unknown_choice_is_refused(cookies: Cookies, template: Path) -> None:
    result = cookies.bake(extra_context={"database": "oracle"}, template=str(template))

    assert result.exit_code != 0
    assert "oracle" in str(result.exception)


def test_the_hook_says_what_comes_next(template: Path, tmp_path: Path) -> None:
    done = run(TOOLS / "cookiecutter", "--no-input", template, cwd=tmp_path)

    assert "cd acme-api" in done.stdout
    assert "uv run app dev" in done.stdout


def test_a_template_without_git_says_how_to_update_later(template: Path, tmp_path: Path) -> None:
    copied = tmp_path / "template"
    run("git", "clone", "--quiet", template, copied, cwd=tmp_path)
    run("rm", "-rf", copied / ".git", cwd=tmp_path)
    done = run(TOOLS / "cookiecutter", "--no-input", "template", cwd=tmp_path)

    assert "_commit: <commit>" in done.stdout
    answers = recorded(tmp_path / "acme-api")
    assert "_commit" not in answers
    assert "@" not in str(answers).replace("you@example.com", "")
