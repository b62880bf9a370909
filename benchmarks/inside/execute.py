"""Run SQL statements, each on its own: a URL, then the statements. Prints what the last one returns."""

import asyncio
import sys

from app.core.db.dialects import parse_url
from sqlalchemy.ext.asyncio import create_async_engine


async def main(url: str, *statements: str) -> None:
    """Run them."""
    engine = create_async_engine(parse_url(url), isolation_level="AUTOCOMMIT")
    result = None
    async with engine.connect() as connection:
        for statement in statements:
            result = await connection.exec_driver_sql(statement)
    await engine.dispose()
    if result is not None and result.returns_rows:
        print(result.scalar())


asyncio.run(main(*sys.argv[1:]))
