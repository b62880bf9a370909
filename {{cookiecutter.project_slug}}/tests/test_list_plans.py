"""PostgreSQL reads each page of each list, in each order of one column, from an index: it sorts no rows.

An incremental sort is of ties in the index of a unique column, which has none.
"""

import re
from collections import defaultdict
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlalchemy import Boolean, Column, Integer, Table, UniqueConstraint, Uuid, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.core.db.base import Base
from app.core.db.types import UTCDateTime
from app.core.pagination import ListQuery
from conftest import Account
from tests.document import Document, filled
from tests.test_indexes import declared
from tests.test_lists import orders

MANY = 3000
DEEP = 15
"""How many pages of a hundred rows come before the deep one: half of them."""
Asked = list[tuple[str, Any]]


@pytest.fixture
async def lists(
    app: FastAPI, owner: AsyncEngine, committed_admin: Account
) -> dict[str, dict[str, Any]]:
    """The orders of each list, by a path where it has thousands of items."""
    if owner.dialect.name != "postgresql":
        pytest.skip("TEST_DATABASE_URL names another database")
    document, client = Document(app), committed_admin.client
    for method, path, operation in document.operations():
        if method == "POST" and path in document.lists():
            url = (await filled(client, path))[-1]
            answer = await document.create(client, url, operation)
            assert answer.status_code == 201, answer.text
    await client.post("/api/v1/auth/forgot-password", json={"email": committed_admin.email})
    urls = {path: await filled(client, path) for path in document.lists()}
    by: dict[str, set[str]] = defaultdict(set)
    for query in declared(ListQuery):
        for each in query.sortable.columns.values():
            by[each.class_.__tablename__].add(each.key)
    async with owner.connect() as connection:
        for table in Base.metadata.sorted_tables:
            if table.name in by:
                await multiply(connection, table, by[table.name])
        await connection.exec_driver_sql("ANALYZE")
    found: dict[str, dict[str, Any]] = {}
    for path, parameters in document.lists().items():
        for url in urls[path]:
            page = await client.get(url, params={"limit": 100})
            if page.status_code == 200 and page.json()["next_cursor"]:
                found[url] = parameters["sort"]
                break
        else:
            pytest.fail(f"no list at {path} has many items")
    return found


async def multiply(connection: AsyncConnection, table: Table, by: set[str]) -> None:
    """Thousands of rows like each of some, with other values where rows must differ, or are sorted by them.

    Of a table with a key of ids alone, like one of its rows, and once more for each of these ids: many members of one group, and many groups of one member.
    """
    uniques = [each for each in table.constraints if isinstance(each, UniqueConstraint)]
    keys = [[*each.columns] for each in uniques if "id" not in each.columns]
    of_ids = [key for key in keys if all(isinstance(each.type, Uuid) for each in key)]
    different = by | {each.name for key in keys for each in key if key not in of_ids}
    for number, varied in enumerate([each.name for key in of_ids for each in key] or [""]):
        values = {
            column.name: value_of(column, number, varied, different)
            for column in table.columns
            if column.computed is None
        }
        names = ", ".join(values)
        await connection.exec_driver_sql(
            f"INSERT INTO {table.name} ({names}) SELECT {', '.join(values.values())}"  # noqa: S608
            f" FROM (SELECT *, row_number() OVER (ORDER BY num_nulls({names}), created_at DESC)"
            f" AS row FROM {table.name} ORDER BY row LIMIT {1 if of_ids else 10}) AS one,"
            f" generate_series(1, {MANY}) AS n"
        )


def value_of(column: Column[Any], number: int, varied: str, different: set[str]) -> str:
    """SQL for the nth value of a column; the first ids are the same in each table."""
    name = column.name
    if name == "id":
        return f"md5(repeat('-', {number} + row::int - 1) || n)::uuid"
    if isinstance(column.type, Uuid):
        return "md5(n::text)::uuid" if name == varied else name
    if name not in different or isinstance(column.type, Boolean):
        return name
    if isinstance(column.type, UTCDateTime):
        earlier = "created_at - n * interval '1 second'"
        return f"CASE WHEN n % 3 > 0 THEN {earlier} END" if column.nullable else earlier
    return "n" if isinstance(column.type, Integer) else f"left(md5(n::text) || {name}, 60)"


@contextmanager
def pages(engine: AsyncEngine) -> Generator[Asked]:
    """The statements that read a page meanwhile, with their parameters."""
    asked: Asked = []

    def note(_: object, __: object, statement: str, parameters: object, *rest: object) -> None:
        if re.search(r"\n LIMIT \S+$", statement):
            asked.append((statement, parameters))

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    yield asked
    event.remove(engine.sync_engine, "before_cursor_execute", note)


async def first_and_deep(client: AsyncClient, url: str, order: str) -> AsyncGenerator[Response]:
    """The first page, and one after half of the rows."""
    yield await client.get(url, params={"sort": order})
    query: dict[str, str | int] = {"sort": order, "limit": 100}
    for _ in range(DEEP):
        query["cursor"] = (await client.get(url, params=query)).json()["next_cursor"]
    query.pop("limit")
    yield await client.get(url, params=query)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_no_page_in_any_order_sorts_rows(
    lists: dict[str, dict[str, Any]],
    committed_admin: Account,
    engine: AsyncEngine,
    owner: AsyncEngine,
    subtests: pytest.Subtests,
) -> None:
    for url, order in [(url, order) for url, sort in lists.items() for order in orders(sort)]:
        with subtests.test(f"{url} {order}"):
            with pages(engine) as asked:
                async for answer in first_and_deep(committed_admin.client, url, order):
                    assert answer.status_code == 200
                    assert answer.json()["items"]
            for statement, parameters in (asked[0], asked[-1]):
                async with owner.connect() as connection:
                    rows = await connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
                    plan = "\n".join(row[0] for row in rows)
                assert "Index" in plan, plan
                assert not re.search(r"(?<!Incremental )Sort  \(cost|Seq Scan", plan), (
                    f"{statement}\n{plan}"
                )
