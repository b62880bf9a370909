"""Each list and each detail costs as many statements, however many rows there are."""

import re
from typing import Any

from httpx2 import AsyncClient

from tests.document import Document, filled

MOST = 4
"""Statements: to authenticate, to read, and for what belongs to it."""


async def statements(client: AsyncClient, executed: list[str], url: str, **query: int) -> list[str]:
    """What the database is asked for a response."""
    executed.clear()
    answer = await client.get(url, params=query)
    assert answer.status_code == 200, (url, answer.text)
    return [each for each in executed if re.match("SELECT|WITH", each) and "set_config" not in each]


async def test_a_list_costs_the_same_whatever_its_length(
    lists: dict[str, dict[str, Any]], rows: AsyncClient, executed: list[str]
) -> None:
    assert len(lists) > 3
    for url in lists:
        one = await statements(rows, executed, url, limit=1)
        many = await statements(rows, executed, url, limit=100)

        assert 0 < len(one) == len(many) <= MOST, (url, one, many)


async def test_a_detail_costs_little(
    document: Document, rows: AsyncClient, executed: list[str]
) -> None:
    seen = 0
    for method, path, _ in [*document.operations()]:
        if method == "GET" and path.endswith("}"):
            url = (await filled(rows, path))[0]
            if (await rows.get(url)).status_code == 200:
                found = await statements(rows, executed, url)
                assert 0 < len(found) <= MOST, (url, found)
                seen += 1
    assert seen
