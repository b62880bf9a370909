"""What is specific to SQLite."""

from collections.abc import AsyncGenerator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.core.db.session import Database
from app.core.settings import Settings
from tests.backlogs import Cost, assert_others_are_not_read, fill, sizes

EVERY = 20  # instructions


@pytest.fixture(autouse=True)
def needs_sqlite(settings: Settings) -> None:
    """These tests are about SQLite alone."""
    assert settings.database_url
    if settings.database_url.get_backend_name() != "sqlite":
        pytest.skip("TEST_DATABASE_URL names another database")


@pytest.fixture
async def steps(engine: AsyncEngine) -> AsyncGenerator[Cost]:
    """Instructions of SQLite's virtual machine, a few for each row that it reads."""
    done = 0

    def count() -> None:
        nonlocal done
        done += EVERY

    async def so_far(session: AsyncSession) -> int:
        connection = await (await session.connection()).get_raw_connection()
        assert connection.driver_connection
        await connection.driver_connection.set_progress_handler(count, EVERY)
        return done

    yield so_far
    await engine.dispose()  # other tests share its connections


@sizes
async def test_a_job_is_found_among_many_others(
    committed_db: Database, steps: Cost, size: int
) -> None:
    await fill(committed_db, size)
    await assert_others_are_not_read(committed_db, steps, 2000)
