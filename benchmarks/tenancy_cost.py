"""The cost of tenant isolation: the same requests to a service with tenants and to one without.

Both are baked, served on loopback over their built-in PostgreSQL, and hold equally many products. Requests
alternate, one at a time. Prints medians in milliseconds, their ratio, and the plans with tenants.
"""

import argparse
import random
import statistics
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx2

from benchmarks.services import PASSWORD, bake, command_in, serving

EMAIL = "admin@example.com"
TENANTS, PRODUCTS = 20, 500

# In each tenant, or in the whole service, products; the administrator's tenant is the last.
FILL = """
import asyncio, sys
from contextlib import nullcontext
from sqlalchemy import text
from app.core.db.embedded import ensure_database
from app.core.db.session import connect, unit_of_work
from app.core.settings import Settings
from app.features.products.models import Product

async def fill(database, count, scope):
    with scope:
        async with unit_of_work(database) as session:
            for number in range(count):
                values = {"name": f"Product {number}", "description": "x" * 100, "price": number}
                session.add(Product(sku=f"SKU-{number}", currency="EUR", **values))

async def main(settings, tenants, products):
    async with connect(settings) as database:
        if tenants == 1:
            await fill(database, products, nullcontext())
        else:
            await fill_tenants(database, tenants, products)

async def fill_tenants(database, tenants, products):
    from sqlalchemy import select
    from app.core.tenancy import within
    from app.features.tenants.models import Tenant
    async with unit_of_work(database) as session:
        session.add_all(Tenant(name=str(number)) for number in range(tenants - 1))
        await session.flush()
        found = list(await session.scalars(select(Tenant.id)))
    for tenant_id in found:
        await fill(database, products, within(tenant_id))

with ensure_database(Settings()) as settings:
    asyncio.run(main(settings, int(sys.argv[1]), int(sys.argv[2])))
"""
ANALYZE = """
import asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from app.core.db.embedded import ensure_database
from app.core.settings import Settings

async def main(settings):
    engine = create_async_engine(settings.database_url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text("VACUUM ANALYZE products"))
    await engine.dispose()

with ensure_database(Settings()) as settings:
    asyncio.run(main(settings))
"""


def prepare(name: str, *answers: str, tenants: int) -> Path:
    """A service with its products."""
    project = bake(name, *answers)
    command_in(project, "app", "users", "create-admin", "--email", EMAIL)
    each = PRODUCTS if tenants > 1 else PRODUCTS * TENANTS
    command_in(project, "python", "-c", FILL, str(tenants), str(each))
    command_in(project, "python", "-c", ANALYZE)
    return project


def signed_in(base: str) -> httpx2.Client:
    """A client on a persistent connection."""
    client = httpx2.Client(base_url=f"{base}/api/v1", trust_env=False, timeout=30)
    form = {"username": EMAIL, "password": PASSWORD}
    token = client.post("/auth/login", data=form).json()["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def ask(client: httpx2.Client, path: str) -> float:
    """Milliseconds that a request takes."""
    started = time.perf_counter()
    answer = client.get(path)
    took = (time.perf_counter() - started) * 1000
    assert answer.status_code == 200, answer.text
    return took


def measure(clients: Mapping[str, httpx2.Client], rounds: int) -> None:
    """Send both the same requests alternately, and print the results."""
    details = {
        name: "/products/" + client.get("/products").json()["items"][0]["id"]
        for name, client in clients.items()
    }
    for kind, paths in (("list", dict.fromkeys(clients, "/products")), ("detail", details)):
        took: dict[str, list[float]] = {name: [] for name in clients}
        order = [*clients] * rounds
        random.shuffle(order)
        for name in [*clients] * 50 + order:
            took[name].append(ask(clients[name], paths[name]))
        medians = {name: statistics.median(values[50:]) for name, values in took.items()}
        told = ", ".join(f"{name} {median:.2f} ms" for name, median in medians.items())
        print(f"{kind:7} {told}, ratio {medians['row'] / medians['none']:.2f}")


def main() -> None:
    """Bake, serve, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2000)
    rounds = parser.parse_args().rounds
    projects = {
        "none": prepare("none", "multi_tenancy=none", tenants=1),
        "row": prepare("row", "multi_tenancy=row", tenants=TENANTS),
    }
    with ExitStack() as stack:
        clients = {
            name: signed_in(stack.enter_context(serving(project)))
            for name, project in projects.items()
        }
        measure(clients, rounds)


if __name__ == "__main__":
    main()
