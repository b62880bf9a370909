"""How records of the service's are shown."""

from uuid import UUID

from pydantic import AwareDatetime

from app.core import (
    schemas,
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenancy,
    # {% endif %}
)


class RecordRead(
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenancy.OfTenant,
    # {% endif %}
    schemas.Output,
):
    """What every record shows."""

    id: UUID
    created_at: AwareDatetime
