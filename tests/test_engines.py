"""Cookiecutter and Copier generate the same project from the same answers."""

import ast
import io
import tokenize
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.combinations import COMBINATIONS, Answers, largest, smallest
from tests.template import bake_with_cookiecutter, bake_with_copier, git, recorded, tree

Generated = Callable[[Answers], Path]


@pytest.mark.parametrize("answers", COMBINATIONS)
def test_the_trees_are_equal(
    generated: Generated, template: Path, tmp_path: Path, answers: Answers
) -> None:
    ours = generated(answers)
    theirs = bake_with_copier(template, tmp_path / "copier", answers)

    assert tree(ours) == tree(theirs)
    assert recorded(ours) == recorded(theirs)


def test_the_answers_file_names_the_version(template: Path, tmp_path: Path) -> None:
    project = bake_with_cookiecutter(template, tmp_path, {})

    assert git(template, "rev-parse", "HEAD").startswith(recorded(project)["_commit"])


def test_no_trace_of_the_generator_is_left(template: Path, tmp_path: Path) -> None:
    for name, content in tree(bake_with_cookiecutter(template, tmp_path, {})).items():
        text = content.decode()
        assert "cookiecutter" not in text.lower(), name
        assert "{%" not in text, name
        assert "{{" not in text.replace("${{", ""), name


# Words of an option; none may be left in a project without that option.
MARKS = {
    ("database", "postgresql"): ["postgres", "asyncpg", "pgserver"],
    ("database", "mysql"): ["mysql", "mariadb", "asyncmy"],
    ("use_celery", True): ["celery", "kombu", "rabbitmq", "amqp", "broker"],
    ("use_graphql", True): ["graphql", "graphiql", "strawberry"],
    ("multi_tenancy", "row"): ["tenan"],
    ("include_example", True): [
        "product",
        "sku",
        "stock",
        "features/orders",
        "features.orders",
        "order_lines",
    ],
}


@pytest.mark.parametrize("answers", COMBINATIONS)
def test_what_was_not_chosen_is_nowhere(generated: Generated, answers: Answers) -> None:
    unchosen = [word for key, words in MARKS.items() if answers[key[0]] != key[1] for word in words]

    for name, content in tree(generated(answers)).items():
        text = content.decode().lower().replace("production", "")
        for word in unchosen:
            assert word not in text, f"{word} in {name}"
            assert word not in name, name


def lines_of_code(source: str) -> int:
    """Lines with code on them: not blank, no comment, no docstring."""
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in silent | {tokenize.ENDMARKER}:
            found |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(found)


@pytest.mark.parametrize(
    ("answers", "budget"), [(smallest(), 11430), (largest(), 16270)], ids=["smallest", "largest"]
)
def test_the_service_stays_lean(
    template: Path, tmp_path: Path, answers: Answers, budget: int
) -> None:
    project = bake_with_cookiecutter(template, tmp_path, answers)

    app = project / "app"
    sources = [path for path in app.rglob("*.py") if "tests" not in path.parts]
    tools = [path for path in sources if path.is_relative_to(app / "tools")]

    def size(paths: Iterable[Path]) -> int:
        return sum(lines_of_code(path.read_text(encoding="utf-8")) for path in paths)

    assert size(set(sources) - set(tools)) <= budget
    assert size(tools) <= 450
