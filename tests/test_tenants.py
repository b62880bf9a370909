"""A project with data becomes multi-tenant, and nothing is lost."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.ports import free_port
from tests.processes import mysql_database, running, wait_for
from tests.template import Answers, bake_with_cookiecutter, commit_all, run
from tests.test_service import make_admin, sign_in
from tests.test_update import update

Installed = Callable[[Answers], Path]

PRODUCTS = 250
PEOPLE = 5

# Data from before the change.
FILL = """
import asyncio, sys
from app.core.db.session import unit_of_work
from app.core.settings import Settings
from app.features.products.models import Product
from app.features import users
from app.service import running

async def main():
    async with running(Settings(), work=False) as service, unit_of_work(service.database) as session:
        for number in range(int(sys.argv[1])):
            session.add(Product(sku=str(number), name="x", description="", price=1, currency="EUR"))
        for number in range(int(sys.argv[2])):
            await users.add(session, f"{number}@example.com", "", "", "member")

asyncio.run(main())
"""


@contextmanager
def database_of(where: str, project: Path, folder: Path) -> Generator[dict[str, str]]:
    """On MariaDB a separate database; else the project's built-in PostgreSQL or SQLite."""
    if where != "mariadb":
        yield {"DATA_DIR": str(folder)}
        return
    with mysql_database(project) as url:
        yield {"DATABASE_URL": url, "DATA_DIR": str(folder)}


@pytest.mark.parametrize(
    ("database", "where"),
    [("postgresql", "postgresql"), ("mysql", "sqlite"), ("mysql", "mariadb")],
    ids=["postgresql", "sqlite", "mariadb"],
)
def test_a_project_with_data_becomes_one_with_tenants(
    template: Path, tmp_path: Path, database: str, where: str
) -> None:
    answers = {"database": database, "include_example": True, "multi_tenancy": "none"}
    project = bake_with_cookiecutter(template, tmp_path / "project", answers)
    run("uv", "sync", "--quiet", cwd=project)
    commit_all(project, "Begin")
    app = project / ".venv/bin/app"
    with database_of(where, project, tmp_path / "data") as environ:
        run(app, "db", "upgrade", cwd=project, **environ)
        make_admin(project, **environ)
        fill = [project / ".venv/bin/python", "-c", FILL, str(PRODUCTS), str(PEOPLE)]
        run(*fill, cwd=project, **environ)

        update(project, {"multi_tenancy": "row"})
        run("uv", "sync", "--quiet", cwd=project)
        run(app, "db", "revision", "-m", "tenants", cwd=project, **environ)
        run("uv", "run", "ruff", "check", ".", cwd=project)
        run("uv", "run", "ruff", "format", "--check", ".", cwd=project)
        run(app, "db", "upgrade", cwd=project, **environ)
        run(app, "db", "check", cwd=project, **environ)
        assert_everything_belongs_to_one(project, tmp_path / "log", environ)
    run("uv", "run", "pytest", "-q", "-n", "2", cwd=project)


def assert_everything_belongs_to_one(project: Path, log: Path, environ: dict[str, str]) -> None:
    """The administrator owns a tenant with all rows; all other users are its members."""
    app, port = project / ".venv/bin/app", free_port()
    base = f"http://127.0.0.1:{port}"
    with running(app, "serve", "--port", str(port), cwd=project, log=log, **environ):
        wait_for(f"{base}/health/ready", 200)
        with httpx2.Client(base_url=f"{base}/api/v1", headers=sign_in(base)) as client:
            products = client.get("/products", params={"with_total": True}).json()
            assert products["total"] == PRODUCTS
            tenants = client.get("/tenants").json()["items"]
            assert [(each["role"], each["tenant"]["name"]) for each in tenants] == [
                ("owner", "Main")
            ]
            members = client.get(f"/tenants/{tenants[0]['tenant']['id']}/members").json()["items"]
            assert len(members) == PEOPLE + 1
            taken = {"sku": "0", "name": "x", "price": 1}
            assert client.post("/products", json=taken).status_code == 409


def test_no_sequence_of_requests_on_sqlite_reaches_another_tenant(installed: Installed) -> None:
    """The project's own state machine, which its default tests leave out."""
    project = installed({"database": "mysql", "multi_tenancy": "row"})
    command = ["uv", "run", "pytest", "-q", "-m", "slow", "tests/test_isolation.py"]
    done = run(*command, cwd=project, TEST_DATABASE_URL="sqlite://")
    assert "1 passed" in done.stdout
