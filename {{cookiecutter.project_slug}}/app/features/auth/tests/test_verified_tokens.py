"""What is remembered of a token lets no other one in, and none longer."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr

from app.core.db.base import utc_now
from app.core.db.session import Database
from app.core.security import tokens
from app.core.settings import Settings
from app.features.auth.tests.test_tokens import BEFORE, LATER, forged, signed, status
from conftest import Account, client_of


async def test_a_token_that_was_verified_before_is_refused_when_it_has_expired(
    client: AsyncClient, member: Account, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = utc_now() + LATER
    token = signed(settings, forged(settings, member, exp=end))
    before = tokens.verified.cache_info()
    assert [await status(client, token) for _ in range(3)] == [200] * 3
    after = tokens.verified.cache_info()
    assert (after.misses - before.misses, after.hits - before.hits) == (1, 2)

    monkeypatch.setattr(tokens, "utc_now", lambda: end + BEFORE)
    assert await status(client, token) == 200
    monkeypatch.setattr(tokens, "utc_now", lambda: end)
    assert await status(client, token) == 401


async def test_a_token_that_was_verified_before_is_good_for_its_key_issuer_and_audience_only(
    app: FastAPI, database: Database, member: Account, settings: Settings
) -> None:
    token = member.tokens["access_token"]
    for change in [
        {"secret_key": SecretStr("another key, which is as long as it must be")},
        {"issuer": "another"},
        {"audience": "another"},
    ]:
        assert await status(member.client, token) == 200
        other = settings.model_copy(update=change)
        async with client_of(app, database, other) as client:
            assert await status(client, token) == 401, change
        client_of(app, database, settings)  # the sessions belong to this service again
