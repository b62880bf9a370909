"""Steps shared by tests of authentication."""

import re

from httpx2 import AsyncClient

from app.core.mail import Mail
from conftest import PASSWORD

AUTH = "/api/v1/auth"


def token_in(mail: Mail) -> str:
    """The token in the link of a mail."""
    found = re.search(r"#token=([\w-]+)", mail.text)
    assert found
    assert found[0] in mail.html
    return found[1]


async def login(client: AsyncClient, email: str, password: str = PASSWORD) -> int:
    """The status of a login."""
    form = {"username": email, "password": password}
    return (await client.post(f"{AUTH}/login", data=form)).status_code
