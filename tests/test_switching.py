"""Every option can be switched in a project that its user has changed."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests import tables
from tests.combinations import largest, options
from tests.template import commit_all, edit, run
from tests.test_service import make_admin
from tests.test_update import count, migrate, upgrade
from tests.updates import (
    BAKERS,
    UPDATERS,
    change_as_a_user,
    conflicts,
    content,
    update_with_copier,
    without_migrations,
)

# Which tool generated a project, which one switches, and with which other options it starts.
WAYS = [
    ("cookiecutter", "copier", {}),
    ("copier", "copier", largest()),
    ("cruft", "cruft", {}),
]


@pytest.mark.parametrize("option", options())
@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way[0]}-{way[1]}")
def test_an_option_is_switched_there_and_back(
    template: Path,
    tmp_path: Path,
    record_property: tables.Record,
    option: str,
    way: tuple[str, str, dict[str, Any]],
) -> None:
    """The result is what it would be if the project had been generated so, and then changed."""
    origin, engine, others = way
    one, other = options()[option]
    before, after = others | {option: one}, others | {option: other}
    project = change_as_a_user(BAKERS[origin](template, tmp_path / "project", before))
    mine = content(project)

    UPDATERS[engine](project, after)
    baker = BAKERS["cruft" if engine == "cruft" else "cookiecutter"]
    fresh = change_as_a_user(baker(template, tmp_path / "fresh", after))
    assert without_migrations(content(project)) == without_migrations(content(fresh))
    assert content(project).items() >= (mine.items() - without_migrations(mine).items())

    commit_all(project, "Changed")
    UPDATERS[engine](project, before)
    assert content(project) == mine
    for values in ((one, other), (other, one)):
        row = f"{option}: {values[0]} to {values[1]}"
        tables.enter(record_property, "Switching options", row, f"{origin}, {engine}", "equal")


def test_a_neighbor_of_an_option_is_a_conflict_and_not_lost(template: Path, tmp_path: Path) -> None:
    """A user's line directly beside one that a switch removes, where the guide puts new features."""
    project = BAKERS["cookiecutter"](template, tmp_path / "project", {})
    register = project / "app/installed.py"
    edit(register, "    tracing.feature,\n", "    tracing.feature,\n    notes.feature,\n")
    commit_all(project, "Notes")

    update_with_copier(project, {"include_example": False})

    assert conflicts(project) == {"app/installed.py"}
    assert "    notes.feature,\n" in register.read_text(encoding="utf-8")
    assert not (project / "app/features/products").exists()


@pytest.mark.parametrize(
    "switched", [{"include_example": False}, {"multi_tenancy": "none"}], ids=str
)
def test_what_a_user_shows_in_graphql_stays(
    template: Path, tmp_path: Path, switched: dict[str, Any]
) -> None:
    """A type of the user's, added where the guide says, beside those that a switch removes."""
    project = BAKERS["cookiecutter"](template, tmp_path / "project", largest())
    schema = project / "app/features/graphql/schema.py"
    mine = project / "app/features/graphql/types/colors.py"
    mine.write_text('"""Colors."""\n', encoding="utf-8")
    edit(schema, "    auth,\n", "    auth,\n    colors,\n")
    commit_all(project, "Colors")

    update_with_copier(project, switched)

    assert conflicts(project) == set()
    text = schema.read_text(encoding="utf-8")
    assert text.count("    colors,\n") == 2
    assert ("    products,\n" in text) == ("include_example" not in switched)
    assert ("    tenants,\n" in text) == ("multi_tenancy" not in switched)
    assert mine.exists()

    commit_all(project, "Changed")
    update_with_copier(project, {"use_graphql": False})
    assert "strawberry" not in (project / "pyproject.toml").read_text(encoding="utf-8")
    assert [path.name for path in mine.parent.parent.rglob("*.py")] == [mine.name]


def test_the_example_celery_and_graphql_are_switched_on_and_off_with_data(
    template: Path, tmp_path: Path
) -> None:
    """After `app db revision` the schema is that of the models, and the project's tests pass.

    With Celery they start real workers on the brokers that are named.
    """
    names = ("include_example", "use_celery", "use_graphql")
    off: dict[str, bool] = dict.fromkeys(names, False)
    on: dict[str, bool] = dict.fromkeys(names, True)
    project = change_as_a_user(BAKERS["cookiecutter"](template, tmp_path / "project", off))
    upgrade(project)
    make_admin(project)

    update_with_copier(project, on)
    migrate(project, "products")
    run("uv", "run", "ruff", "check", ".", cwd=project)
    run("uv", "run", "ruff", "format", "--check", ".", cwd=project)
    assert count(project, "colors", "users", "products") == [2, 1, 0]
    named = ("TEST_REDIS_URL", "TEST_AMQP_URL")
    brokers = {name: os.environ[name] for name in named if name in os.environ}
    run("uv", "run", "pytest", "-q", cwd=project, **brokers)

    commit_all(project, "With products")
    update_with_copier(project, off)
    migrate(project, "no products")
    assert count(project, "colors", "users") == [2, 1]
