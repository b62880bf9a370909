"""Lists with items, made from the OpenAPI document; the command `app`; and what calls other services."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from app.core.outbound import Outbound
from conftest import Account
from tests.commands import Result, Run
from tests.document import Document, filled, first_cursor


@pytest.fixture
def document(app: FastAPI) -> Document:
    """The service's OpenAPI document."""
    return Document(app)


@pytest.fixture
async def rows(document: Document, admin: Account, member: Account) -> AsyncClient:
    """Lists with at least two items, and a client allowed to read them all."""
    for method, path, operation in document.operations():
        if method == "POST" and path in document.lists():
            url = (await filled(admin.client, path))[-1]
            for other in (False, True):
                answer = await document.create(admin.client, url, operation, other=other)
                assert answer.status_code == 201, answer.text
    for account in (admin, member):
        await admin.client.post("/api/v1/auth/forgot-password", json={"email": account.email})
    return admin.client


@pytest.fixture
async def lists(document: Document, rows: AsyncClient) -> dict[str, dict[str, Any]]:
    """The orders of each list, by path."""
    found: dict[str, dict[str, Any]] = {}
    for path, parameters in document.lists().items():
        sort = parameters["sort"]
        urls = [
            url
            for url in await filled(rows, path)
            if await first_cursor(rows, url, sort["default"])
        ]
        found[urls[0]] = sort
    return found


@pytest.fixture
def run_app(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    """Run the command `app` with these arguments and environment variables."""
    from app.cli import main  # noqa: PLC0415, few tests need it

    def run(*arguments: str, **environment: str) -> Result:
        monkeypatch.chdir(tmp_path)  # where there is no `.env`
        monkeypatch.setattr("sys.argv", ["app", *arguments])
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as exit_info:
            main()
        printed = capsys.readouterr()
        return Result(exit_info.value.code, printed.out, printed.err)

    return run


@pytest.fixture
async def outbound() -> AsyncGenerator[Outbound]:
    """What a service calls others with."""
    outbound = Outbound(deployed=False)
    yield outbound
    await outbound.close()
