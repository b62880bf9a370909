"""The drill of docs/backup.md, from one database to another, with MariaDB's own programs."""

import subprocess
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import URL

from app.core.settings import Settings
from tests.backups import assert_a_backup_restores_everything
from tests.mariadb import program, running

pytestmark = [pytest.mark.slow, pytest.mark.drill, pytest.mark.timeout(180)]

DESCRIBED = (
    "SELECT trigger_name, event_object_table, action_statement, definer"
    " FROM information_schema.triggers WHERE trigger_schema = DATABASE() ORDER BY 1",
    "SELECT table_name, constraint_name, constraint_type FROM information_schema.table_constraints"
    " WHERE table_schema = DATABASE() ORDER BY 1, 2",
    "SELECT table_name, column_name, column_type, collation_name FROM information_schema.columns"
    " WHERE table_schema = DATABASE() ORDER BY 1, 2",
)


async def test_a_backup_restores_everything(
    app: FastAPI, settings: Settings, tmp_path: Path
) -> None:
    with running() as server:
        server.run("CREATE DATABASE restored")
        common = ["--no-defaults", f"--socket={server.data}/socket", "-uroot"]
        dump = tmp_path / "app.sql"

        def back(old: URL, new: URL) -> None:
            taken = [program("mariadb-dump"), *common, "--single-transaction", "--routines"]
            with dump.open("wb") as output:
                subprocess.run([*taken, str(old.database)], check=True, stdout=output)  # noqa: S603
            with dump.open("rb") as given:
                client = [program("mariadb"), *common, str(new.database)]
                subprocess.run(client, check=True, stdin=given)  # noqa: S603

        restored = server.url.set(database="restored")
        await assert_a_backup_restores_everything(
            app, settings, server.url, restored, back, DESCRIBED
        )
