from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.base import utc_now
from app.core.db.session import Database
from app.core.jobs import purge
from app.core.jobs.models import JobRun, JobState
from app.core.jobs.outbox import enqueue
from app.core.settings import Settings
from app.features.jobs.jobs import purge_jobs
from conftest import Account
from tests.inline import InlineQueue, serving

JOBS = "/api/v1/jobs"


def dead(name: str = "jobs.purge") -> JobRun:
    return JobRun(
        name=name,
        queue="default",
        state=JobState.DEAD,
        arguments={},
        attempts=6,
        finished_at=utc_now(),
        error="RuntimeError: no luck",
        correlation_id="abc",
    )


@pytest.fixture
async def dead_job(session: AsyncSession) -> UUID:
    """The id of a dead job."""
    run = dead()
    session.add(run)
    await session.flush()
    return run.id


async def test_jobs_are_listed_with_how_they_ended(admin: Account, dead_job: UUID) -> None:
    listed = (await admin.client.get(JOBS, params={"state": "dead"})).json()["items"]

    assert [item["id"] for item in listed] == [str(dead_job)]
    one = (await admin.client.get(f"{JOBS}/{dead_job}")).json()
    assert one == listed[0]
    assert (one["error"], one["attempts"], one["correlation_id"]) == (
        "RuntimeError: no luck",
        6,
        "abc",
    )
    assert (await admin.client.get(JOBS, params={"name": "mail.deliver"})).json()["items"] == []
    assert (await admin.client.get(JOBS, params={"state": "odd"})).status_code == 422
    for states, count in ([["dead", "queued"], 1], [["queued", "running"], 0]):
        found = await admin.client.get(JOBS, params={"state": states, "with_total": True})
        assert (len(found.json()["items"]), found.json()["total"]) == (count, count)


async def test_the_content_of_a_mail_is_not_readable(client: AsyncClient, admin: Account) -> None:
    wanted = {"email": admin.email}
    await client.post("/api/v1/auth/forgot-password", json=wanted)

    listed = (await admin.client.get(JOBS)).json()["items"]
    assert {item["name"] for item in listed} == {"auth.forgot_password", "mail.deliver"}
    assert [item["arguments"] for item in listed] == [{}, {}]


async def test_a_dead_job_is_tried_again(admin: Account, dead_job: UUID) -> None:
    answer = await admin.client.post(f"{JOBS}/{dead_job}/retry")

    assert answer.status_code == 202
    assert answer.json()["state"] == "queued"
    assert (await admin.client.get(f"{JOBS}/{dead_job}")).json()["state"] == "done"
    again = await admin.client.post(f"{JOBS}/{dead_job}/retry")
    assert again.status_code == 409
    about = {"object_id": str(dead_job)}
    events = (await admin.client.get("/api/v1/audit-events", params=about)).json()["items"]
    assert [event["action"] for event in events] == ["job.retried"]


async def test_an_unknown_job_is_not_found(admin: Account) -> None:
    assert (await admin.client.get(f"{JOBS}/{uuid4()}")).status_code == 404
    assert (await admin.client.post(f"{JOBS}/{uuid4()}/retry")).status_code == 404


async def test_members_neither_see_nor_retry_jobs(member: Account, dead_job: UUID) -> None:
    assert (await member.client.get(JOBS)).status_code == 403
    assert (await member.client.get(f"{JOBS}/{dead_job}")).status_code == 403
    assert (await member.client.post(f"{JOBS}/{dead_job}/retry")).status_code == 403


async def test_jobs_that_ended_long_ago_are_forgotten_a_batch_at_a_time(
    session: AsyncSession,
    database: Database,
    queue: InlineQueue,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(purge, "BATCH", 2)
    long_ago = {
        JobState.DONE: utc_now() - timedelta(days=8),
        JobState.DEAD: utc_now() - timedelta(days=91),
    }
    for state, finished_at in long_ago.items():
        for age in (timedelta(0), timedelta(days=2)):
            old = dead("old")
            old.state, old.finished_at = state, finished_at + age
            session.add(old)
            held = dead("held")
            held.state, held.finished_at = state, finished_at
            held.unique_key, held.unique_until = str(uuid4()), utc_now() + timedelta(hours=1)
            session.add(held)
            gone = dead("gone")
            gone.state, gone.finished_at = state, finished_at
            session.add(gone)
    await enqueue(session, purge_jobs)
    await session.commit()

    queue.nudges.append((uuid4(), "jobs.purge"))
    await queue.run(serving(database, jobs={"jobs.purge": purge_jobs}))

    names = sorted(await session.scalars(select(JobRun.name)))
    assert names == ["held"] * 4 + ["jobs.purge"] * 4 + ["old"] * 2
