"""The hooks and the filters of questions, each run alone, without generating a project."""

import json
import locale
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from cookiecutter.environment import StrictEnvironment
from cookiecutter.exceptions import FailedHookException
from cookiecutter.prompt import prompt_for_config

import service_answers
from tests.combinations import ROOT, SOURCE, largest, parameter, smallest
from tests.template import ANSWERS_FILE, commit_all, git

NEXT = "\nNext ("
ANSWERS = """\
# ünï
_commit: "@commit@"
_src_path: "@src@"
database: postgresql
"""


def complete(**answers: Any) -> dict[str, Any]:  # noqa: ANN401, answers are texts or flags
    """What Cookiecutter knows when it calls a hook, from the defaults."""
    asked = prompt_for_config({"cookiecutter": dict(SOURCE)}, no_input=True)
    return asked | {"_template": str(ROOT), "_repo_dir": str(ROOT)} | answers


def summary(folder: Path | str) -> str:
    """What is printed with the default answers."""
    return "\n".join(complete()["__summary"]).replace("@folder@", str(folder))


Hook = Callable[..., str]
Finish = Callable[..., tuple[str, str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Where a project is generated, before the hook has completed it."""
    folder = tmp_path / "sp ace" / "acme-api"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def hook(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Hook:
    """Run a hook in the project, called from `stood`; returns what it printed."""

    def run(name: str, answers: dict[str, Any], stood: Path | None = project.parent) -> str:
        environment = StrictEnvironment(
            context={"cookiecutter": answers}, **SOURCE["_jinja2_env_vars"]
        )
        source = (ROOT / "hooks" / f"{name}.py").read_text(encoding="utf-8")
        script = project.parent / f"{name}.py"
        rendered = environment.from_string(source).render(cookiecutter=answers)
        script.write_text(rendered, encoding="utf-8")
        monkeypatch.chdir(project)
        if stood:
            monkeypatch.setenv("PWD", str(stood))
        else:
            monkeypatch.delenv("PWD")
        runpy.run_path(str(script), run_name="__main__")
        return capsys.readouterr().out

    return run


@pytest.fixture
def finish(project: Path, hook: Hook) -> Finish:
    """Run the last hook; returns the answers file and what was printed."""

    def run(**answers: Any) -> tuple[str, str]:  # noqa: ANN401
        stood = answers.pop("stood", project.parent)
        (project / ANSWERS_FILE).write_text(ANSWERS, encoding="utf-8")
        said = hook("post_gen_project", complete(**answers), stood)
        assert b"\r" not in (project / ANSWERS_FILE).read_bytes()
        return (project / ANSWERS_FILE).read_text(encoding="utf-8"), said

    return run


def paths() -> list[str]:
    """Everything that some answers leave out."""
    return [path for rule in SOURCE["_prune"] for path in rule["paths"]]


def kept(answers: dict[str, Any]) -> set[str]:
    """What these answers keep of it."""
    gone = {
        path
        for rule in SOURCE["_prune"]
        for path in rule["paths"]
        if not all(answers[name] == wanted for name, wanted in rule["keep_when"].items())
    }
    inside = {path for path in paths() if any(path.startswith(f"{each}/") for each in gone)}
    return set(paths()) - gone - inside


@pytest.mark.parametrize(
    "answers",
    [parameter(each) for each in (smallest(), largest(), smallest() | {"database": "mysql"})],
)
def test_what_the_answers_leave_out_is_deleted(
    project: Path, finish: Finish, answers: dict[str, Any]
) -> None:
    for name in paths():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        if Path(name).suffix:
            (project / name).write_text("")
        else:
            (project / name).mkdir(exist_ok=True)
            (project / name / "file.py").write_text("")
    finish(**answers)

    assert {name for name in paths() if (project / name).exists()} == kept(answers)


def test_nothing_else_is_written_or_deleted(project: Path, finish: Finish) -> None:
    for name in ("ours.txt", "app/core/ours.py"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("Ours.")
    finish(**smallest())

    left = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    assert left == {ANSWERS_FILE, "ours.txt", "app/core/ours.py"}


def template(folder: Path, *, versioned: bool = True) -> Path:
    """A template, or what the hook takes for one, of version 1.2.3."""
    folder.mkdir(parents=True)
    (folder / "cookiecutter.json").write_text("{}")
    if versioned:
        commit_all(folder, "Begin")
        git(folder, "tag", "v1.2.3")
    return folder


def expected(commit: str, source: str | Path) -> str:
    """The completed answers file."""
    filled = ANSWERS.replace('"@commit@"', json.dumps(commit))
    return filled.replace('"@src@"', json.dumps(str(source)))


@pytest.mark.parametrize("where", ["where the user stood", "next to the project", "absolute"])
def test_the_template_and_its_version_are_recorded(
    project: Path, finish: Finish, tmp_path: Path, where: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    made = template((elsewhere if "stood" in where else project.parent) / "ours")
    given = str(made) if where == "absolute" else "ours"
    written, said = finish(_repo_dir=given, _template=given, stood=elsewhere)

    assert written == expected("v1.2.3", made)
    assert summary(f"'{project}'") in said
    assert "_commit" not in said


def test_without_a_clone_the_template_is_where_the_user_says(project: Path, finish: Finish) -> None:
    made = template(project.parent / "ours")
    written, _ = finish(_repo_dir="", _template="ours")

    assert written == expected("v1.2.3", made)


def test_of_two_templates_it_is_the_one_where_the_user_stood(
    project: Path, finish: Finish, tmp_path: Path
) -> None:
    template(project.parent / "ours")
    stood = template(tmp_path / "ours").parent
    written, said = finish(_repo_dir="ours", _template="ours", stood=stood)

    assert written == expected("v1.2.3", stood / "ours")
    assert summary("'sp ace/acme-api'") in said


def test_a_template_that_is_not_there_has_no_version(
    project: Path, finish: Finish, tmp_path: Path
) -> None:
    written, said = finish(_repo_dir="gone", _template="gone", stood=tmp_path)

    assert "_commit" not in written
    assert json.dumps(str(tmp_path / "gone")) in written
    assert "the template has no git history here" in said


def test_between_two_releases_the_commit_is_the_version(finish: Finish, tmp_path: Path) -> None:
    made = template(tmp_path / "ours")
    git(made, "tag", "--delete", "v1.2.3")
    written, _ = finish(_repo_dir=str(made), _template=str(made))

    assert written == expected(git(made, "rev-parse", "--short", "HEAD"), made)


def test_a_shell_that_names_no_folder_stands_next_to_the_project(
    project: Path, finish: Finish
) -> None:
    made = template(project.parent / "ours")
    written, said = finish(_repo_dir="ours", _template="ours", stood=None)

    assert written == expected("v1.2.3", made)
    assert summary("acme-api") in said


def test_files_are_utf_8_whatever_the_locale(finish: Finish, tmp_path: Path) -> None:
    made = template(tmp_path / "ours")
    before = locale.setlocale(locale.LC_CTYPE)
    locale.setlocale(locale.LC_CTYPE, "C")
    try:
        written, _ = finish(_repo_dir=str(made), _template=str(made))
    finally:
        locale.setlocale(locale.LC_CTYPE, before)

    assert written == expected("v1.2.3", made)


@pytest.mark.parametrize("inside", [False, True])
def test_only_the_history_of_the_template_itself_counts(
    finish: Finish, tmp_path: Path, *, inside: bool
) -> None:
    """Not that of a repository around it."""
    made = template(tmp_path / "other" / "ours", versioned=False)
    if inside:
        commit_all(made.parent, "Another project")
    written, said = finish(_repo_dir=str(made), _template=str(made))

    lines = [line for line in ANSWERS.splitlines(keepends=True) if "@commit@" not in line]
    assert written == "".join(lines).replace('"@src@"', json.dumps(str(made)))
    unversioned = SOURCE["__unversioned"]
    assert unversioned.replace("@reason@", "the template has no git history here") in said


def test_without_git_that_is_the_reason(
    finish: Finish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = template(tmp_path / "ours")
    monkeypatch.setenv("PATH", str(tmp_path))
    written, said = finish(_repo_dir=str(made), _template=str(made))

    assert "_commit" not in written
    assert SOURCE["__unversioned"].replace("@reason@", "git is not installed") in said


@pytest.mark.parametrize(
    ("given", "recorded"),
    [
        ("gh:us/ours", "gh:us/ours"),
        ("gl:us/ours", "gl:us/ours"),
        ("git@example.com:us/ours", "git@example.com:us/ours"),
        ("https://example.com/ours.git", "https://example.com/ours.git"),
        ("bb:us/ours", "git+https://bitbucket.org/us/ours.git"),
    ],
)
def test_an_address_stays_one(finish: Finish, tmp_path: Path, given: str, recorded: str) -> None:
    made = template(tmp_path / "clone")
    written, _ = finish(_repo_dir=str(made), _template=given)

    assert written == expected("v1.2.3", recorded)


def test_the_commit_that_cruft_uses_is_recorded(
    project: Path, finish: Finish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It also generates projects for comparison, where what comes next is not printed."""
    made = template(tmp_path / "ours")
    told = {"_commit": "abc123", "_repo_dir": str(made), "_template": str(made)}
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "elsewhere"))
    written, said = finish(**told)
    assert written == expected("abc123", made)
    assert NEXT in said

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert finish(**told) == (written, "")
    assert NEXT in finish(_repo_dir=str(made), _template=str(made))[1]


@pytest.mark.parametrize("there", [".git", "file"])
def test_the_first_hook_refuses_bad_answers_and_a_folder_in_use(
    project: Path, hook: Hook, there: str
) -> None:
    (project / there).mkdir()
    bad = complete(project_name=" ", author_email="none")
    texts = [SOURCE["_validators"][name]["message"] for name in ("project_name", "author_email")]
    lines = [f"project_name: {texts[0]}", f"author_email: {texts[1]}"]
    if there == "file":
        lines.append(f"{project} {SOURCE['_in_use']}")
    with pytest.raises(SystemExit) as refused:
        hook("pre_gen_project", bad)

    assert refused.value.code == "\n".join(lines)
    shutil.rmtree(project / "file", ignore_errors=True)
    assert hook("pre_gen_project", complete()) == ""


def calling(**parameters: object) -> click.Context:
    """The command `cookiecutter`, called with these."""
    context = click.Context(click.Command("cookiecutter"))
    context.params = {"no_input": False, "replay": False, "overwrite_if_exists": False}
    context.params |= {"output_dir": "."} | parameters
    return context


def test_a_bad_answer_is_asked_for_until_it_is_good(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed, asked = ["x" * 61, "Ours"], []
    monkeypatch.setattr(
        service_answers.Prompt, "ask", lambda prompt: asked.append(prompt) or typed.pop(0)
    )
    answers = complete(project_name="")
    with calling():
        assert service_answers.checked(answers, "project_name") == ""

    assert answers["project_name"] == "Ours"
    assert asked == ["  project_name"] * 2
    message = f"project_name: {SOURCE['_validators']['project_name']['message']}\n"
    assert capsys.readouterr().out == message * 2


@pytest.mark.parametrize("how", [None, {"no_input": True}, {"replay": True}])
def test_with_all_answers_given_nothing_is_asked(how: dict[str, object] | None) -> None:
    answers = complete(project_name="")
    if how is None:
        assert service_answers.checked(answers, "project_name") == ""
    else:
        with calling(**how):
            assert service_answers.checked(answers, "project_name") == ""

    assert answers["project_name"] == ""


def test_what_is_wrong_only_because_of_another_answer_is_not_told() -> None:
    answers = complete(project_name="curly {", description="The curly { service.", author_name="\t")

    assert [text.split(":")[0] for text in service_answers.faults(answers)] == [
        "project_name",
        "author_name",
    ]
    both = answers | {"project_name": " ", "description": "x" * 201}
    assert [text.split(":")[0] for text in service_answers.faults(both)] == [
        "project_name",
        "description",
        "author_name",
    ]


def test_all_faults_stop_it_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "acme-api").mkdir()
    (tmp_path / "acme-api/file").write_text("")
    bad = complete(author_name="", author_email="none")
    told = "\n".join(service_answers.faults(bad))
    in_use = f"{tmp_path / 'acme-api'} {SOURCE['_in_use']}"

    with pytest.raises(FailedHookException) as refused:
        service_answers.refuse(bad)
    assert str(refused.value) == told
    with calling(output_dir=str(tmp_path)), pytest.raises(FailedHookException) as refused:
        service_answers.refuse(bad)
    assert str(refused.value) == told
    over = calling(output_dir=str(tmp_path), overwrite_if_exists=True)
    with over, pytest.raises(FailedHookException) as refused:
        service_answers.refuse(bad)
    assert str(refused.value) == f"{told}\n{in_use}"
    with over, pytest.raises(FailedHookException) as refused:
        service_answers.refuse(complete())
    assert str(refused.value) == in_use
    with calling(replay=True):
        assert service_answers.refuse(bad) == ""
    with calling(output_dir=str(tmp_path / "new"), overwrite_if_exists=True):
        assert service_answers.refuse(complete()) == ""
    assert service_answers.refuse(complete()) == ""


def test_a_folder_is_in_use_if_it_holds_more_than_a_repository(tmp_path: Path) -> None:
    assert not service_answers.in_use(tmp_path / "none")
    assert not service_answers.in_use(tmp_path)
    (tmp_path / ".git").mkdir()
    assert not service_answers.in_use(tmp_path)
    (tmp_path / "file").write_text("")
    assert service_answers.in_use(tmp_path)
    assert service_answers.in_use(tmp_path / "file")
