"""When scheduled jobs are due."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from cronsim import CronSim

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CRON_FIELDS = 5


class Schedule(Protocol):
    """The instants at which a job is due, the same in every process."""

    def latest(self, now: datetime) -> datetime:
        """The last of them that is not after `now`."""
        ...

    def following(self, now: datetime) -> datetime:
        """The first of them after `now`."""
        ...


@dataclass(frozen=True, slots=True)
class Cron:
    """Minute, hour, day of month, month, day of week; in UTC."""

    expression: str

    def latest(self, now: datetime) -> datetime:
        """The last tick that is not after `now`."""
        minute = now.replace(second=0, microsecond=0)
        return next(CronSim(self.expression, minute + timedelta(minutes=1), reverse=True))

    def following(self, now: datetime) -> datetime:
        """The first tick after `now`."""
        return next(CronSim(self.expression, now))


@dataclass(frozen=True, slots=True)
class Every:
    """At every multiple of this period since 1970-01-01 00:00 UTC."""

    period: timedelta

    def latest(self, now: datetime) -> datetime:
        """The last tick that is not after `now`."""
        return EPOCH + (now - EPOCH) // self.period * self.period

    def following(self, now: datetime) -> datetime:
        """The first tick after `now`."""
        return self.latest(now) + self.period


def cron(expression: str) -> Cron:
    """Such as `cron("30 3 * * *")`: each day at 03:30 UTC. Invalid expressions are refused here."""
    CronSim(expression, EPOCH)
    fields = expression.split()
    if len(fields) != CRON_FIELDS or (fields[2] != "*" and fields[4] != "*"):
        raise ValueError(
            f"{expression!r}: give five fields, and not both a day of the month and of the week:"
            " implementations disagree on what that means"
        )
    return Cron(expression)


def every(**period: float) -> Every:
    """Such as `every(minutes=15)`."""
    return Every(timedelta(**period))
