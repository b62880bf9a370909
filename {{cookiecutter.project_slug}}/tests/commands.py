"""The command `app`, run by tests."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """The result of a command."""

    code: object
    out: str
    err: str


Run = Callable[..., Result]
