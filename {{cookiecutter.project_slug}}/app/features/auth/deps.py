"""Dependencies of endpoints."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Form, Header

from app.core.db.base import utc_now
from app.features.auth.schemas import PasswordForm


async def arrival() -> datetime:
    """When the request arrived."""
    return utc_now()


Arrived = Annotated[datetime, Depends(arrival)]
LoginForm = Annotated[PasswordForm, Form()]
UserAgent = Annotated[str, Header(include_in_schema=False)]
