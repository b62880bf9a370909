"""`Resource` and `Record`: the bases of models, which alone define the scope of a row."""

from app.core.db import (
    base,
    constraints,
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenancy,
    # {% endif %}
)


class Resource(
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenancy.TenantOwned,
    # {% endif %}
    constraints.Constrained,
    base.Base,
):
    """A row that belongs to a customer."""

    __abstract__ = True


class Record(
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenancy.TenantTagged,
    # {% endif %}
    constraints.Constrained,
    base.Base,
):
    """A row of the service's own, about something done for a customer."""

    __abstract__ = True
