"""What sees every request begin and end, such as what measures them."""

from typing import Protocol


class Observer(Protocol):
    """Called for each HTTP request that this process serves: neither may wait, nor raise."""

    def begin(self) -> None:
        """A request has arrived."""
        ...

    def end(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """It is over, whatever became of it.

        The method is the client's word, and any text; the route is the template of the path, none if no route is at it; the
        status is 0 if nothing was sent.
        """
        ...
