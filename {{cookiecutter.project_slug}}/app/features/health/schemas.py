"""What the probes answer."""

from typing import Literal

from pydantic import BaseModel


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """Everything that the service depends on answers too."""

    status: Literal["ok"] = "ok"
    checks: dict[str, str]
