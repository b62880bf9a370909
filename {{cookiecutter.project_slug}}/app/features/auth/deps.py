"""What endpoints ask for."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Header
from fastapi.security import OAuth2PasswordRequestForm

from app.core.db.base import utc_now


async def arrival() -> datetime:
    """When the request came in."""
    return utc_now()


Arrived = Annotated[datetime, Depends(arrival)]
LoginForm = Annotated[OAuth2PasswordRequestForm, Depends()]
UserAgent = Annotated[str, Header(include_in_schema=False)]
