"""Responses of the probes."""

from typing import Literal

from pydantic import BaseModel, Field


class Alive(BaseModel):
    """The process responds."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """Every dependency of the service responds too."""

    status: Literal["ok"] = "ok"
    checks: dict[str, str] | None = Field(
        None, description="The state of each dependency, for callers who may see it"
    )
