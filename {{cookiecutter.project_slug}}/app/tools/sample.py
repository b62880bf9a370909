"""The command `app db sample`."""

import asyncio
import sys
from collections.abc import Callable

import typer

from app.core.db.session import unit_of_work
from app.core.sampling import BATCH, Sampling
from app.core.settings import Settings
from app.installed import FEATURES
from app.seed import wait_for_others
from app.service import running


def add_sample(settings: Settings, rows: int, seed: int) -> None:
    """Add example rows, and print how many there are."""
    kinds = sum(1 for feature in FEATURES if feature.sample)
    with typer.progressbar(length=rows * kinds, file=sys.stderr) as bar:
        done = asyncio.run(sample(settings, rows, seed, bar.update))
    for table, count in done.added.items():
        existed = f", {done.present[table]} existed" if done.present[table] else ""
        typer.echo(f"{table}: {count} rows added{existed}")


async def sample(
    settings: Settings, rows: int, seed: int, progress: Callable[[int], None]
) -> Sampling:
    """Have features add example rows, a batch in each transaction; reports the number of rows after each."""
    sampling = Sampling(seed=seed)
    async with running(settings, work=False) as service:
        for add in filter(None, (feature.sample for feature in service.features)):
            for start in range(0, rows, BATCH):
                sampling.numbers = range(start, min(start + BATCH, rows))
                with sampling.scope():
                    async with unit_of_work(service.database) as session:
                        await session.run_sync(wait_for_others)
                        await add(session, sampling)
                progress(len(sampling.numbers))
    return sampling
