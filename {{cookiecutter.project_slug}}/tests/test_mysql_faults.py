"""MariaDB is killed, hangs, and is kept busy, while the service is under load."""

from pathlib import Path

import pytest

from app.core.settings import Settings
from tests.faults import assert_the_service_endures
from tests.mariadb import running

pytestmark = [pytest.mark.slow, pytest.mark.drill, pytest.mark.timeout(300)]


async def test_the_service_endures(settings: Settings, tmp_path: Path) -> None:
    with running() as server:
        await assert_the_service_endures(server, settings, tmp_path / "log")
