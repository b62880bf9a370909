"""Everything that a generated project's texts mention exists in it, for every combination of options."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
import yaml

from tests.combinations import COMBINATIONS, HOUSE, ROOT, Answers
from tests.template import run, tree
from tests.test_in_place import ELSEWHERE

pytestmark = pytest.mark.xdist_group("generated")

# Prints the commands and settings of the template's own tree, each with its module and name.
DESCRIBE = """
import json, typer
from app.cli import cli
from app.installed import SETTINGS

def commands(group, before=""):
    for name, command in group.commands.items():
        inner = [*commands(command, f"{name} ")] if hasattr(command, "commands") else []
        where = inner[0][1] if inner else (command.callback.__module__, command.callback.__name__)
        yield before + name, where
        yield from inner

print(json.dumps({
    "commands": dict(commands(typer.main.get_command(cli))),
    "settings": {
        (kind.model_config.get("env_prefix", "") + name).upper(): (kind.__module__, name)
        for kind in SETTINGS for name in kind.model_fields
    },
}))
"""

# Variables of other programs; not settings of ours.
OTHERS = {
    "image of the database": re.compile(r"(POSTGRES|MYSQL)_[A-Z_]+"),
    "uv, in the container image": re.compile(r"UV_[A-Z_]+"),
    "builds of the container image": re.compile(r"PYTHON_IMAGE|EXTRAS"),
    "make": re.compile(r"DEFAULT_GOAL|MAKEFILE_LIST|PHONY|HOST|USERS|SECONDS"),
    "the shell and Python, in the container image": re.compile(r"PATH|PYTHONUNBUFFERED"),
    "Alembic's name for the file that it has just written": re.compile(r"REVISION_SCRIPT_FILENAME"),
    "Flower": re.compile(r"FLOWER_[A-Z_]+"),
    "the SDK of OpenTelemetry": re.compile(r"OTEL_[A-Z_]+"),
}
# What does not exist yet when a project is generated.
MADE_LATER = {".env", "uv.lock"}
# What a reader of `docs/adding-a-feature.md` creates.
MADE_BY_READERS = re.compile(r"app[/.]features[/.]notes\b")


@dataclass(frozen=True)
class Project:
    """A generated project: its files, and what it can do."""

    folder: Path
    everything: dict[str, dict[str, tuple[str, str]]]

    @cached_property
    def commands(self) -> set[str]:
        """The subcommands of `app`."""
        return self.present("commands")

    @cached_property
    def settings(self) -> set[str]:
        """The variables that the service reads."""
        return self.present("settings")

    def present(self, kind: str) -> set[str]:
        """Those of the whole tree whose module is in this project too."""
        return {
            what
            for what, (module, name) in self.everything[kind].items()
            if re.search(rf"\b{name}\b", self.texts.get(module.replace(".", "/") + ".py", ""))
        }

    @cached_property
    def texts(self) -> dict[str, str]:
        """Every file."""
        return {name: content.decode() for name, content in tree(self.folder).items()}

    @cached_property
    def prose(self) -> dict[str, str]:
        """Files other than Python: documentation and configuration."""
        return {name: text for name, text in self.texts.items() if not name.endswith(".py")}

    @cached_property
    def python(self) -> str:
        """All Python."""
        return "\n".join(text for name, text in self.texts.items() if name.endswith(".py"))

    @cached_property
    def targets(self) -> set[str]:
        """The targets of `make`."""
        return set(re.findall(r"^([a-z-]+):", self.texts["Makefile"], re.MULTILINE))

    def code(self) -> Iterator[tuple[str, str]]:
        """Code spans and blocks of texts, with the file's name; for a Makefile and the like, every line."""
        for name, text in self.texts.items():
            if name.endswith(".md"):
                yield from (
                    (name, block) for block in re.findall(r"^```.*?^```", text, re.M | re.S)
                )
            if name.endswith((".md", ".py", ".toml", ".example")):
                yield from ((name, span) for span in re.findall(r"`([^`\n]+)`", text))
            if name.endswith((".yaml", ".yml")) or name in {"Makefile", "Dockerfile"}:
                yield name, text.replace('", "', " ").replace('["', "\n")


Generated = Callable[[Answers], Path]
Described = Callable[[Answers], Project]


@pytest.fixture(scope="module")
def described(generated: Generated) -> Described:
    """A combination as a project."""
    house = run(ROOT / "build/house/bin/python", "-c", DESCRIBE, cwd=HOUSE, **ELSEWHERE)
    everything = json.loads(house.stdout)
    made: dict[Path, Project] = {}

    def describe(answers: Answers) -> Project:
        folder = generated(answers)
        return made.setdefault(folder, Project(folder, everything))

    return describe


each_project = pytest.mark.parametrize("answers", COMBINATIONS)


@each_project
def test_every_named_target_of_make_exists(described: Described, answers: Answers) -> None:
    project = described(answers)
    call = re.compile(r"""\bmake((?: [a-z][a-z-]*(?![\w=])| \w+=(?:"[^"]*"|\S+))+)""")

    for name, code in project.code():
        for words in call.findall(code):
            for word in words.split():
                if re.fullmatch("[a-z-]+", word):
                    assert word in project.targets, f"make {word} in {name}"
    declared = re.findall(r"^\.PHONY: (.*)", project.texts["Makefile"], re.MULTILINE)
    assert set(" ".join(declared).split()) == project.targets


@each_project
def test_every_named_command_exists(described: Described, answers: Answers) -> None:
    project = described(answers)
    call = re.compile(
        r"(?:^|uv run )app ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?(?=$|[^\w./=-])", re.MULTILINE
    )
    groups = {command.split()[0] for command in project.commands if " " in command}

    for name, code in project.code():
        for first, second in call.findall(code):
            assert first in project.commands, f"app {first} in {name}"
            if first in groups and second:
                assert f"{first} {second}" in project.commands, f"app {first} {second} in {name}"
    readme = project.texts["README.md"]
    listed = re.search(r"`uv run app --help` \| more commands: (.*) \|", readme)
    assert listed
    on_their_own = re.findall(r"^\| `uv run app ([a-z][a-z-]*)` \|", readme, re.MULTILINE)
    first_words = {command.split()[0] for command in project.commands}
    assert {*re.findall("`([a-z-]+)`", listed[1]), *on_their_own} == first_words


@each_project
def test_every_named_path_exists(described: Described, answers: Answers) -> None:
    """Links, paths below the folders of the project, and files by their name."""
    project = described(answers)
    names = {Path(name).name for name in project.texts} | MADE_LATER
    below = re.compile(r"(?<![\w./*{-])(?:app|docs|migrations|tests)/[\w./-]*\w")

    for name, text in project.texts.items():
        if name.endswith(".md"):
            for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text):
                assert (project.folder / name).parent.joinpath(link).exists(), f"{link} in {name}"
        for path in [] if name.endswith(".html") else below.findall(text):  # addresses there
            if MADE_BY_READERS.match(path):
                continue
            assert (project.folder / path).exists(), f"{path} in {name}"
    for name, code in project.code():
        for file in re.findall(r"^[\w.-]+\.(?:md|py|toml|ya?ml|lock|example)$|^\.env$", code):
            assert file in names, f"{file} in {name}"


@each_project
def test_every_named_module_exists(described: Described, answers: Answers) -> None:
    """`app.core.settings`, and names in modules: `app.core.mail.smtp.SMTPMailer`."""
    project = described(answers)

    for name, text in project.prose.items():
        for dotted in re.findall(r"(?<![\w./@-])app(?:[.:][A-Za-z_]\w*)+", text):
            if MADE_BY_READERS.match(dotted):
                continue
            steps = re.split("[.:]", dotted)
            depth = max(
                number
                for number in range(1, len(steps) + 1)
                if source_of(project.folder, steps[:number])
            )
            source = source_of(project.folder, steps[:depth])
            assert source
            for word in steps[depth:]:
                code = source.read_text(encoding="utf-8")
                assert re.search(rf"\b{word}\b", code), f"{dotted} in {name}"


def source_of(folder: Path, steps: list[str]) -> Path | None:
    """The file of a module or package."""
    path = folder.joinpath(*steps)
    found = [each for each in (path / "__init__.py", path.with_suffix(".py")) if each.is_file()]
    return found[0] if found else None


@each_project
def test_every_named_variable_is_a_setting(described: Described, answers: Answers) -> None:
    """Or one that the project's tests read, a constant of its code, or one of another program."""
    project = described(answers)
    known = project.settings | set(re.findall(r"\b[A-Z][A-Z0-9_]+\b", project.python))
    variable = re.compile(r"\b(?:[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|[A-Z]{3,}(?==))(?![\w-])")

    for name, text in project.prose.items():
        of_shell = set(re.findall(r"^([A-Z]+)=(?:\$\(|\.{3}$)", text, re.MULTILINE))
        for word in variable.findall(text):
            foreign = any(pattern.fullmatch(word) for pattern in OTHERS.values())
            assert word in known | of_shell or foreign, f"{word} in {name}"


@each_project
def test_the_containers_are_given_settings(described: Described, answers: Answers) -> None:
    project = described(answers)
    services = yaml.safe_load(project.texts["compose.yaml"])["services"]
    read = project.settings | {"PROMETHEUS_MULTIPROC_DIR"}  # by the library that counts

    for name, service in services.items():
        if "build" in service:
            given = set(service.get("environment", {}))
            assert {word for word in given - read if not OTHERS["Flower"].match(word)} == set(), (
                name
            )
