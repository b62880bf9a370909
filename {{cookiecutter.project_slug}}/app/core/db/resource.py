"""`Resource`: the base of every row that a customer owns, and how such tables are constrained.

Models build their constraints with these functions, so that the scope of a row is decided here.
"""

from typing import Literal

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint

from app.core.db import (
    base,
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenancy,
    # {% endif %}
)


class Resource(
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenancy.TenantOwned,
    # {% endif %}
    base.Base,
):
    """A row that belongs to a customer."""

    __abstract__ = True


class Record(
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenancy.TenantTagged,
    # {% endif %}
    base.Base,
):
    """A row of the service's own, about something that is done or was done for somebody."""

    __abstract__ = True


def unique(*columns: str, name: str) -> UniqueConstraint:
    """No two rows share these columns."""
    return UniqueConstraint(
        # {% if cookiecutter.multi_tenancy == "row" %}
        "tenant_id",
        # {% endif %}
        *columns,
        name=name,
    )


def index(*columns: str, name: str) -> Index:
    """Rows are looked up or sorted by these columns, in this order."""
    return Index(
        name,
        # {% if cookiecutter.multi_tenancy == "row" %}
        "tenant_id",
        # {% endif %}
        *columns,
    )


def reference(
    column: str, table: str, *, name: str, ondelete: Literal["RESTRICT", "CASCADE"] = "RESTRICT"
) -> ForeignKeyConstraint:
    """`column` holds the id of a row in `table`, which is a table of resources too."""
    return ForeignKeyConstraint(
        [
            # {% if cookiecutter.multi_tenancy == "row" %}
            "tenant_id",
            # {% endif %}
            column,
        ],
        [
            # {% if cookiecutter.multi_tenancy == "row" %}
            f"{table}.tenant_id",
            # {% endif %}
            f"{table}.id",
        ],
        name=name,
        ondelete=ondelete,
    )
