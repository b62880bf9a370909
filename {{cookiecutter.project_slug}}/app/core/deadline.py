"""When the current request or job is stopped, so that what it waits for can give up before."""

from contextvars import ContextVar

from app.core.carrying import Carrier

deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
"""By the clock of the event loop; none for what may take any time."""

# Not among those of all requests and log lines: it is set where the limit is.
carrier = Carrier(variable=deadline, resume=lambda run: None)
