"""Responses of the probes."""

from typing import Literal

from pydantic import BaseModel


class Alive(BaseModel):
    """The process responds."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """Every dependency of the service responds too."""

    status: Literal["ok"] = "ok"
    checks: dict[str, str]
