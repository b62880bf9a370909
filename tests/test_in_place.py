"""The template's own tree is a running program before it is rendered."""

import ast
import json
import re
import sys
import tomllib
from html import unescape
from pathlib import Path

import pytest

from tests.combinations import options
from tests.green import digest, remember, skip_if_green
from tests.template import HOUSE, ROOT, SOURCE, TOOLS, files, run, tree

BIN = ROOT / "build" / "house" / "bin"
GUARD = re.compile(r"^\s*# \{%", re.MULTILINE)

# The only files whose content depends on options.
GUARDED = {
    ".copier-answers.yml",
    ".env.example",
    ".github/workflows/ci.yml",
    "Makefile",
    "README.md",
    "app/core/carriers.py",
    "app/core/db/dialects/__init__.py",
    "app/core/db/resource.py",
    "app/core/db/session.py",
    "app/core/db/tenancy/__init__.py",
    "app/core/feature.py",
    "app/features/graphql/schema.py",
    "app/features/limits/settings.py",
    "app/features/orders/__init__.py",
    "app/features/products/__init__.py",
    "app/installed.py",
    "compose.yaml",
    "conftest.py",
    "docs/adding-a-feature.md",
    "docs/archive.md",
    "docs/backup.md",
    "docs/development.md",
    "docs/jobs.md",
    "docs/migrations.md",
    "docs/observability.md",
    "docs/operations.md",
    "docs/replicas.md",
    "docs/security.md",
    "docs/adr/0008-tenants-in-the-same-tables.md",
    "docs/adr/0013-the-database-keeps-the-audit-log.md",
    "migrations/versions/0001_initial.py",
    "pyproject.toml",
}


ELSEWHERE = {  # tool caches must not be in the tree
    "DATA_DIR": str(ROOT / "build" / "data"),
    "HYPOTHESIS_STORAGE_DIRECTORY": str(ROOT / "build" / "hypothesis"),
    "PATH": f"{BIN}:/usr/bin:/bin:/usr/sbin:/sbin",
    "PYTHONPYCACHEPREFIX": str(ROOT / "build" / "pycache"),
    "RUFF_CACHE_DIR": str(ROOT / "build" / "ruff"),
}


def in_house(*command: str) -> None:
    """Run a tool on the unrendered tree."""
    run(BIN / command[0], *command[1:], cwd=HOUSE, **ELSEWHERE)


# Whatever a change may break that its author does not look at: who imports and who may call what, what is
# published and configured, and that models, migrations and indexes agree.
STRUCTURE = [
    "architecture",
    "access",
    "features",
    "indexes",
    "migrations",
    "openapi",
    "schemas",
    "settings",
]


def sources(folder: Path) -> str:
    """What the checks of a tree depend on: its files, and when its packages were installed."""
    parts = [HOUSE]
    if folder == ROOT:
        parts = [ROOT / name for name in ("benchmarks", "hooks", "tests", "tools")]
    found = [each for part in parts for each in tree(part).items()]
    single = [folder / "pyproject.toml", *folder.glob("*.py")]
    found += [(path.name, path.read_bytes()) for path in single]
    installed = (TOOLS if folder == ROOT else BIN).parent.stat().st_mtime_ns
    return digest([*found, ("installed", str(installed).encode())])


# Two workers get two tests each at first: the longest two begin at once, each beside a short one.
def test_types() -> None:
    check_types(HOUSE)


def test_style_and_format() -> None:
    in_house("ruff", "check", ".")
    in_house("ruff", "format", "--check", ".")


def test_its_structure_holds() -> None:
    skip_if_green("structure", now := sources(HOUSE))
    chosen = [f"tests/test_{name}.py" for name in STRUCTURE]
    in_house("pytest", "-q", "-p", "no:cacheprovider", *chosen)
    remember("structure", now)


def test_style_and_format_of_the_template() -> None:
    run(TOOLS / "ruff", "check", ".", cwd=ROOT, **ELSEWHERE)
    run(TOOLS / "ruff", "format", "--check", ".", cwd=ROOT, **ELSEWHERE)


def test_types_of_the_template() -> None:
    check_types(ROOT)


def check_types(folder: Path) -> None:
    """Unless they were checked before; that takes the longest of all."""
    name = f"types/{'project' if folder == HOUSE else 'template'}"
    skip_if_green(name, now := sources(folder))
    run((BIN if folder == HOUSE else TOOLS) / "basedpyright", cwd=folder, **ELSEWHERE)
    remember(name, now)


def test_spelling() -> None:
    """American English, in all files, names in code among them."""
    run(TOOLS / "typos", cwd=ROOT)


def test_style_of_prose(tmp_path: Path) -> None:
    """No clichés, repeated words or redundancy in sentences of the documentation."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    config = tmp_path / ".proselintrc.json"
    config.write_text(json.dumps(settings["proselint"]), encoding="utf-8")
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *HOUSE.rglob("*.md")]
    for path in pages:
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(sentences(path.read_text(encoding="utf-8")), encoding="utf-8")

    names = [str(path.relative_to(ROOT)) for path in pages]
    run(TOOLS / "proselint", "check", *names, cwd=tmp_path)


def sentences(markdown: str) -> str:
    """The text, with all else blanked: code, headings, conditions and tables."""
    no_sentence = re.compile(r"^```.*?^```|`[^`\n]+`|^[#|].*?$", re.MULTILINE | re.DOTALL)
    return no_sentence.sub(lambda found: re.sub(r"[^\n]", "#", found[0]), markdown)


def test_every_python_file_parses() -> None:
    for path in files(HOUSE):
        if path.suffix == ".py":
            ast.parse((HOUSE / path).read_text(encoding="utf-8"), filename=str(path))


def test_conditions_stand_only_where_they_may() -> None:
    guarded = {
        path.as_posix()
        for path in files(HOUSE)
        if GUARD.search((HOUSE / path).read_text(encoding="utf-8"))
    }

    assert guarded == GUARDED


def test_core_knows_few_options() -> None:
    """A feature that needs a change in core shows a missing slot."""
    assert len([name for name in GUARDED if re.match(r"app/core/.*\.py", name)]) <= 6


def test_conditions_are_plain() -> None:
    """No `else`, and in Python no answer outside of a string."""
    for path in files(HOUSE):
        text = (HOUSE / path).read_text(encoding="utf-8")
        assert path.name == ".copier-answers.yml" or not re.search(r"# \{% (else|elif)", text), path
        if path.suffix == ".py":
            for line in text.splitlines():
                assert "{{" not in line or re.search(r'"\{\{ cookiecutter\.\w+ \}\}"', line), line


def test_conditions_ask_for_values_that_exist() -> None:
    """A value that no option has would leave its lines out of every project."""
    known = {f"{name} == {json.dumps(value)}" for name in options() for value in options()[name]}
    known |= {name for name, values in options().items() if True in values}
    known.add("_commit is defined")  # of cruft

    for path in files(HOUSE):
        if path.name != ".copier-answers.yml":
            text = (HOUSE / path).read_text(encoding="utf-8")
            for condition in re.findall(r"# \{% if (.*) %\}", text):
                parts = {part.removeprefix("cookiecutter.") for part in condition.split(" and ")}
                assert parts <= known, f"{condition} in {path}"
    for rule in SOURCE["_prune"]:
        assert all(wanted in options()[name] for name, wanted in rule["keep_when"].items()), rule


def test_the_answers_stand_in_few_files() -> None:
    rendered = {
        path.as_posix() for path in files(HOUSE) if "{{ cookiecutter" in (HOUSE / path).read_text()
    }

    assert rendered <= GUARDED | {"app/core/settings.py", "app/core/jobs/celery/settings.py"}


@pytest.mark.parametrize("rule", SOURCE["_prune"], ids=lambda rule: str(rule["keep_when"]))
def test_every_pruned_path_exists(rule: dict[str, list[str]]) -> None:
    for name in rule["paths"]:
        assert (HOUSE / name).exists(), name


def test_every_text_has_a_rule_and_is_checked_when_it_is_given() -> None:
    names = list(SOURCE)
    texts = [name for name in names if name[0] != "_" and isinstance(SOURCE[name], str)]

    assert list(SOURCE["_validators"]) == texts
    for name in texts:
        assert names[names.index(name) + 1] == f"__check_{name}"
        assert SOURCE[f"__check_{name}"] == f"{{{{ cookiecutter | checked('{name}') }}}}"


def test_generated_files_are_in_step() -> None:
    for name in ("copier", "readme"):
        run(sys.executable, f"tools/write_{name}.py", "--check", cwd=ROOT)
    run(BIN / "python", "tools/write_initial_migration.py", "--check", cwd=ROOT, **ELSEWHERE)
    run(sys.executable, "-m", "tools.reference", "--check", cwd=ROOT, **ELSEWHERE)


def test_the_pictures_are_of_these_questions() -> None:
    """`make pictures` makes them; they are small enough for a page on a telephone."""
    pictures = ROOT / "docs" / "pictures"
    drawn = re.sub(r"<[^>]+>", "", (pictures / "prompts.svg").read_text(encoding="utf-8"))
    shown = unescape(drawn).replace("\N{NO-BREAK SPACE}", " ")
    for prompt in SOURCE["__prompts__"].values():
        for each in [prompt] if isinstance(prompt, str) else prompt.values():
            assert each in shown, each
    assert all(path.stat().st_size < 150_000 for path in pictures.iterdir())


def test_every_known_fault_can_be_brought_in() -> None:
    """`make faults` replaces texts that are still there, each once."""
    listed = tomllib.loads((ROOT / "tests" / "faults.toml").read_text(encoding="utf-8"))["fault"]
    edits = [(fault["name"], each) for fault in listed for each in fault["edits"] if "old" in each]
    for name, each in edits:
        path = ROOT / each["in"].replace("tree/", f"{HOUSE.name}/", 1)
        assert path.read_text(encoding="utf-8").count(each["old"]) == 1, name


def test_no_name_that_an_operating_system_refuses() -> None:
    for path in files(HOUSE):
        for part in path.parts:
            assert not re.search(r'[<>:"|?*\\]|[. ]$', part), path
            assert len(str(path)) < 120


def test_line_ends_are_unix() -> None:
    for path in files(HOUSE):
        assert b"\r" not in (HOUSE / path).read_bytes(), path


def test_no_cache_lies_in_the_tree() -> None:
    strays = [".venv", ".data", ".pytest_cache", ".ruff_cache", "uv.lock", ".import_linter_cache"]
    strays.append(".hypothesis")

    assert [name for name in strays if (HOUSE / name).exists()] == []
    assert not list(Path(HOUSE).rglob("__pycache__"))
