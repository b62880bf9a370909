"""No sequence of requests shows or changes what belongs to another tenant."""

import pytest

from app.core.settings import Settings
from tests.isolation import Isolation, run


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.usefixtures("emptied")
def test_no_sequence_of_requests_reaches_another_tenant(settings: Settings) -> None:
    run(Isolation, settings)
