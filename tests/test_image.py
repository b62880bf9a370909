"""The steps of the Dockerfile fit the project: no Docker is needed to see that."""

import json
import re
import tomllib
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.combinations import HOUSE, largest, smallest
from tests.template import Answers, environment, files, run

Generated = Callable[[Answers], Path]

STEPS = [
    line.strip().partition(" ")
    for line in re.sub(
        r"\\\n", " ", re.sub(r"^ *#.*\n", "", (HOUSE / "Dockerfile").read_text("utf-8"), flags=re.M)
    ).splitlines()
    if line.strip()
]


def steps(name: str) -> list[str]:
    """The arguments of each of these instructions."""
    return [rest for word, _, rest in STEPS if word == name]


def context(project: Path) -> set[str]:
    """The files that the build gets, by the rules in `.dockerignore`: the last one that matches decides."""
    rules = (project / ".dockerignore").read_text(encoding="utf-8").split()
    found = {path.as_posix() for path in files(project)} | {"uv.lock"}

    def sent(name: str) -> bool:
        parents = ["/".join(name.split("/")[:depth]) for depth in range(1, name.count("/") + 2)]
        kept = True
        for rule in rules:
            pattern = rule.removeprefix("!").removeprefix("**/")
            anywhere = "**/" in rule
            if any(
                fnmatch(part.rpartition("/")[2] if anywhere else part, pattern) for part in parents
            ):
                kept = rule.startswith("!")
        return kept

    return {name for name in found if sent(name)}


@pytest.mark.parametrize("answers", [largest(), smallest()], ids=["everything", "nothing"])
def test_everything_that_is_copied_is_sent_and_nothing_else(
    generated: Generated, answers: Answers
) -> None:
    sent = context(generated(answers))
    sources = [name for rest in steps("COPY") if "--from" not in rest for name in rest.split()[:-1]]

    assert all(any(f"{name}/".startswith(f"{source}/") for name in sent) for source in sources)
    assert {name.split("/")[0] for name in sent} == set(sources)
    assert not any("tests" in name.split("/") or name.startswith(".env") for name in sent)


def test_it_runs_as_a_number_and_not_as_root() -> None:
    (user,) = steps("USER")
    identifier = user.split(":")[0]

    assert int(identifier) > 0
    assert f"--uid {identifier}" in " ".join(steps("RUN"))


def test_the_base_is_one_argument_that_may_be_a_digest() -> None:
    arguments = dict(each.split("=", 1) for each in steps("ARG"))

    assert arguments["PYTHON_IMAGE"].startswith("python:3.")
    assert {each.split(" ")[0] for each in steps("FROM")} == {"${PYTHON_IMAGE}"}


def test_its_health_check_is_a_route_on_the_port_of_its_command(generated: Generated) -> None:
    (check,) = steps("HEALTHCHECK")
    port, path = re.findall(r"http://127\.0\.0\.1:(\d+)(/[\w/]+)", check)[0]
    command = json.loads(steps("CMD")[-1])
    whole = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))
    cli = (HOUSE / "app/cli.py").read_text(encoding="utf-8")
    router = (HOUSE / "app/features/health/router.py").read_text(encoding="utf-8")

    assert steps("EXPOSE") == [port]
    assert command[0] in whole["project"]["scripts"]
    assert re.search(rf"def {command[1]}\([^)]*port: Port = {port}", cli)
    prefix, name = path.rsplit("/", 1)
    assert f'new_router("{prefix}"' in router
    assert f'@router.get("/{name}"' in router


@pytest.mark.parametrize(
    ("extras", "options"),
    [("", ""), ("one", "--extra one"), ("one two", "--extra one --extra two")],
)
def test_optional_dependencies_are_named_by_one_argument(
    tmp_path: Path, extras: str, options: str
) -> None:
    """The step itself, with a stand-in for uv."""
    (tmp_path / "uv").write_text('#!/bin/sh\necho "$*"\n', encoding="utf-8")
    (tmp_path / "uv").chmod(0o755)
    (step,) = [each for each in steps("RUN") if "${EXTRAS}" in each]
    path = f"{tmp_path}:{environment()['PATH']}"

    said = run("sh", "-c", step, cwd=tmp_path, PATH=path, EXTRAS=extras).stdout

    assert said.split() == [
        "sync",
        "--locked",
        "--no-dev",
        "--no-install-project",
        *options.split(),
    ]
