"""What beat sends, and when."""

from typing import Any

from celery.schedules import crontab, schedule

from app.core.jobs import Jobs
from app.core.jobs.schedule import Cron, Every, Schedule

RELAY, TICK = "jobs.relay", "jobs.tick"
RELAY_SECONDS = 1.0


def entries(jobs: Jobs) -> dict[str, Any]:
    """A tick for each scheduled job, and the relay; a message that nobody took in time is dropped."""
    found: dict[str, Any] = {
        RELAY: {"task": RELAY, "schedule": schedule(RELAY_SECONDS), "options": {"expires": 5}}
    }
    for job in jobs.values():
        if job.schedule is not None:
            when = in_celery(job.schedule)
            found[job.name] = {"task": TICK, "schedule": when, "args": [job.name]}
    return found


def in_celery(when: Schedule) -> schedule | crontab:
    """The same in Celery's words."""
    match when:
        case Cron(expression):
            return crontab.from_string(expression)
        case Every(period):
            return schedule(period)
        case _:
            raise TypeError(f"{when!r} has no counterpart in Celery")
