"""A plugin of pytest: what the tests share is made again for each, to find all tests that depend on it."""

from typing import Any

import pytest


@pytest.fixture(autouse=True)
def remade(app: Any) -> None:
    """Make the OpenAPI document again."""
    app.openapi_schema = None
