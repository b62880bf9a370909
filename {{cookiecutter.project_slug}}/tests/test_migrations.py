"""Migrations are linear, and lead to the models."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, create_engine, inspect, pool
from sqlalchemy.ext.asyncio import create_async_engine

from app.core.db import migrations, ordering
from app.core.db.base import Base
from app.core.settings import Settings
from tests.databases import fresh_database


def tables(settings: Settings) -> set[str]:
    """The tables that the database has."""

    async def names() -> list[str]:
        assert settings.database_url
        engine = create_async_engine(settings.database_url, poolclass=pool.NullPool)
        async with engine.connect() as connection:
            found = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        await engine.dispose()
        return found

    return set(asyncio.run(names())) - {"alembic_version"}


def test_the_migrations_are_one_line() -> None:
    script = ScriptDirectory.from_config(migrations.config())

    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1


def test_the_revisions_are_those_that_alembic_finds() -> None:
    script = ScriptDirectory.from_config(migrations.config())

    assert set(migrations.known()) == {each.revision for each in script.walk_revisions()}
    assert set(migrations.heads()) == set(script.get_heads())


@pytest.mark.parametrize(
    ("source", "follows"),
    [
        ('revision = "b"\ndown_revision = "a"\n', "a"),
        ('revision: str = "b"\ndown_revision: str | None = "a"\n', "a"),
        ('revision = "b"\ndown_revision = ("a", "c")\n', ("a", "c")),
        ('revision = "b"\ndown_revision = None\n\ndef upgrade():\n    revision = "c"\n', None),
        ('import sqlalchemy as sa\n\nrevision = "b"\nbefore: str\nnames = (sa.Table, 1)\n', None),
        ('revision = "b"\ndown_revision = ["a", "c"]\n', ["a", "c"]),
        ('\ufeffrevision = "b"\n\n@cache\ndef upgrade(): pass\n', None),
        ('revision = "b"\nSQL = """\ndef f():\n"""\n', None),
    ],
)
def test_what_a_script_follows_is_read(source: str, follows: object) -> None:
    found = migrations.declared(source.encode())

    assert (found["revision"], found.get("down_revision")) == ("b", follows)


def test_several_heads_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[str, list[str]] = {"a": [], "b": ["a"], "c": ["a"]}
    monkeypatch.setattr(migrations, "known", lambda: known)

    with pytest.raises(migrations.MigrationError, match=r"several heads \(b, c\): merge them"):
        migrations.heads.__wrapped__()
    known["d"] = ["b", "c"]
    assert migrations.heads.__wrapped__() == {"d"}


def test_commands_write_to_the_present_output(capsys: pytest.CaptureFixture[str]) -> None:
    migrations.config().print_stdout("here")

    assert capsys.readouterr().out == "here\n"


def test_serving_needs_no_alembic() -> None:
    program = (
        "import sys, app.cli; print([name for name in sys.modules if name.startswith('alembic')])"
    )
    done = subprocess.run(  # noqa: S603, our own
        [sys.executable, "-c", program],
        cwd=migrations.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "[]"


def test_up_equals_the_models_and_down_leaves_nothing(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.databases.WORKER", "migrations")
    with fresh_database(tmp_path) as url:
        fresh = settings.model_copy(update={"database_url": url})
        migrations.upgrade(fresh)
        migrations.check(fresh)
        assert tables(fresh) == set(Base.metadata.tables)

        migrations.downgrade(fresh, "base")
        assert tables(fresh) == set()

        migrations.upgrade(fresh)
        migrations.check(fresh)


def test_tables_are_dropped_after_those_that_refer_to_them() -> None:
    known = MetaData()
    shelf = Table("a_shelf", known, Column("id", Integer, primary_key=True))
    book = Table("b_book", known, Column("shelf_id", Integer, ForeignKey("a_shelf.id")))
    drops = [ops.DropTableOp.from_table(each) for each in (shelf, book)]
    change = ops.ModifyTableOps("b_book", [ops.DropIndexOp("ix_b_book", "b_book")])
    up = ops.UpgradeOps([drops[0], change, drops[1]])
    down = ops.DowngradeOps([each.reverse() for each in reversed(drops)])
    script = ops.MigrationScript("1", up, down)
    engine = create_engine("sqlite://")

    with engine.begin() as connection:
        known.create_all(connection)
        ordering.put_in_order(MigrationContext.configure(connection), script)
    engine.dispose()

    assert script.upgrade_ops
    assert script.downgrade_ops
    assert script.upgrade_ops.ops == [change, drops[1], drops[0]]
    made = [each for each in script.downgrade_ops.ops if isinstance(each, ops.CreateTableOp)]
    assert [each.table_name for each in made] == ["a_shelf", "b_book"]


def test_foreign_keys_are_dropped_first_and_created_last() -> None:
    drop = ops.DropConstraintOp("fk_old", "b_book", type_="foreignkey")
    create = ops.CreateForeignKeyOp("fk_new", "b_book", "a_shelf", ["shelf_id"], ["id"])
    index, other = ops.DropIndexOp("ix_b_book", "b_book"), ops.DropIndexOp("ix_a_shelf", "a_shelf")
    found = ops.UpgradeOps(
        [
            ops.ModifyTableOps("a_shelf", [other]),
            ops.ModifyTableOps("b_book", [index, create, drop]),
        ]
    )

    ordering.put_references_in_order(found)

    changes = [each for each in found.ops if isinstance(each, ops.ModifyTableOps)]
    assert [each.ops for each in changes] == [[drop], [other], [index], [create]]
