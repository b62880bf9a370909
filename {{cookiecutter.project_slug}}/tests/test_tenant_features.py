"""What a feature declares about tenants holds, whatever its tables, tags and parameters are called."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select

from app.core import tenancy
from app.core.db.base import utc_now
from app.core.db.session import Database, reading, unit_of_work
from app.core.db.tenancy.crossing import all_tenants
from app.core.feature import Feature
from app.core.jobs.models import JobRun
from app.core.jobs.runner import run_due
from app.core.jobs.ticker import Ticker
from app.core.mail import Mail
from app.core.routing import router as new_router
from app.core.security.access import Can, CurrentPrincipal
from app.core.service import Service
from app.core.settings import Settings
from app.features.audit.models import AuditEvent
from app.features.cache import cached, invalidate
from app.features.tenants.authentication import InPath
from app.features.tenants.models import Membership
from app.installed import FEATURES
from app.main import create_app
from app.seed import seed
from app.service import running
from conftest import client_over, make_account
from tests.inline import InlineQueue
from tests.probe import ProbePermission, probe_feature, sweep

renamed = new_router("/offices/{which}", tag="anything", about=InPath("customer", "which"))


@renamed.get("", dependencies=[Can(ProbePermission.WRITE)])
async def read_office(principal: CurrentPrincipal) -> dict[str, str | None]:
    """In which tenant the caller acts."""
    return {"tenant": str(tenancy.current())}


FACES = [
    *FEATURES,
    probe_feature(tenant_permissions={"owner": (ProbePermission.WRITE,)}),
    Feature(router=renamed),
]


@dataclass
class Offices:
    """The service with these features, and two users who each own a tenant."""

    app: FastAPI
    service: Service
    ada: AsyncClient
    bob: AsyncClient
    adas: UUID
    bobs: UUID


@pytest.fixture
async def offices(committed_db: Database, settings: Settings) -> AsyncGenerator[Offices]:
    app = create_app(settings, FACES)
    queue = InlineQueue(settings, {})
    async with running(settings, work=False, features=FACES, queue=queue) as service:
        await seed(service)
        people: list[AsyncClient] = []
        owned: list[UUID] = []
        for name in ("ada", "bob"):
            email, client = f"{name}@example.com", client_over(app, service)
            account = await make_account(service.database, client, email, "member")
            async with reading(service.database) as session:
                own = select(Membership.tenant_id).filter_by(user_id=account.id, role="owner")
                owned.append((await session.scalars(own)).one())
            people.append(client)
        yield Offices(app, service, people[0], people[1], owned[0], owned[1])


def header(tenant_id: UUID) -> dict[str, str]:
    return {"X-Tenant-ID": str(tenant_id)}


async def test_an_owner_holds_what_the_feature_grants_to_owners(offices: Offices) -> None:
    """Although no table is called `probes`, as its permissions are."""
    url = "/api/v1/customer-probes"

    shared = await offices.ada.post(url)
    own = await offices.ada.post(url, headers=header(offices.adas))
    foreign = await offices.ada.post(url, headers=header(offices.bobs))

    assert (own.status_code, shared.status_code, foreign.status_code) == (204, 403, 404)


async def test_the_service_s_own_endpoints_grant_nothing_by_a_tenant(offices: Offices) -> None:
    answer = await offices.ada.post("/api/v1/probes?text=x", headers=header(offices.adas))

    assert answer.status_code == 403


async def test_a_path_names_the_tenant_by_the_parameter_that_is_declared(offices: Offices) -> None:
    url = f"/api/v1/offices/{offices.adas}"

    assert (await offices.ada.get(url)).json() == {"tenant": str(offices.adas)}
    assert (await offices.bob.get(url)).status_code == 404
    assert (await offices.ada.get("/api/v1/offices/x")).status_code == 404
    contradicting = await offices.ada.get(url, headers=header(offices.bobs))
    assert contradicting.status_code == 422


async def test_a_job_for_each_tenant_acts_in_it(offices: Offices, sent: list[Mail]) -> None:
    ours = replace(offices.service, jobs={sweep.name: sweep})
    deliver = {"mail.deliver": offices.service.jobs["mail.deliver"]}

    await Ticker(ours).fire(utc_now())
    await Ticker(ours).fire(utc_now())

    async with unit_of_work(offices.service.database) as session:
        asked = list(await session.scalars(select(JobRun.tenant_id).filter_by(name=sweep.name)))
        customers = len(await offices.service.customers(session))
    assert {offices.adas, offices.bobs} < set(asked)  # and the one that all tests share
    assert len(set(asked)) == customers
    await run_due(replace(ours, jobs={**ours.jobs, **deliver}))
    async with reading(offices.service.database) as session:
        swept = select(AuditEvent.tenant_id).filter_by(action="heard.probe.probed")
        assert sorted(map(str, await session.scalars(swept))) == sorted(map(str, asked))
    assert len(sent) == len(asked)


@cached(seconds=60, tags=["desks"])
async def desk(database: Database) -> UUID:
    """Another one each time."""
    return uuid4()


async def test_tenants_share_no_cached_results(offices: Offices) -> None:
    database = offices.service.database

    async def found(tenant_id: UUID) -> UUID:
        with tenancy.within(tenant_id):
            return await desk(database)

    adas, bobs = await found(offices.adas), await found(offices.bobs)
    assert (await found(offices.adas), await found(offices.bobs)) == (adas, bobs)
    with tenancy.within(offices.adas):
        async with unit_of_work(database) as session:
            invalidate(session, "desks")

    assert adas != bobs
    assert await found(offices.adas) != adas
    assert await found(offices.bobs) == bobs


async def test_what_is_cached_for_all_tenants_is_for_no_other_and_invalidated_in_each(
    offices: Offices,
) -> None:
    database = offices.service.database

    async def found(scope: UUID | None) -> UUID:
        with tenancy.within(scope):
            return await desk(database)

    adas, shared = await found(offices.adas), await found(None)
    async with all_tenants(database, reason="to test it") as session:
        of_all = await desk(database)
        invalidate(session, "desks")

    assert len({adas, shared, of_all}) == 3
    assert await found(offices.adas) != adas
