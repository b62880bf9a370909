"""Tables whose rows carry a tenant."""

from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, Table, UniqueConstraint, event
from sqlalchemy.orm import Mapped, mapped_column

from app.core.tenancy import current

TENANTS = "tenants"
"""The table whose rows are the tenants: a feature has a model of this name."""
OWNED: set[str] = set()
"""Tables of rows that belong to a tenant. Without a tenant they cannot be accessed."""
TAGGED: set[str] = set()
"""The service's own tables, whose rows may be about a tenant. In one, only its rows are visible."""


def table_of(model: type) -> Table | None:
    """The table that the class declares, unless it is only a base."""
    table: Table | None = model.__dict__.get("__table__")
    if table is not None and "tenant_id" not in table.columns:
        raise TypeError(f"{model.__name__}: tables of tenants do not support joined inheritance")
    return table


class Tenancy:
    """Common to both: a row is stamped when it is created, and filtered when it is read."""

    tenant_id: Mapped[Any] = mapped_column()


class TenantOwned(Tenancy):
    """A row that permanently belongs to one tenant."""

    leads_with: ClassVar[tuple[str, ...]] = ("tenant_id",)

    tenant_id: Mapped[UUID] = mapped_column()

    def __init_subclass__(cls, **options: Any) -> None:  # noqa: ANN401
        super().__init_subclass__(**options)
        table = table_of(cls)
        if table is not None:
            OWNED.add(table.name)
            table.append_constraint(
                ForeignKeyConstraint(
                    ["tenant_id"], [f"{TENANTS}.id"], name=f"fk_{table.name}_tenant_id"
                )
            )
            # A reference to the row includes its tenant, so that none crosses tenants.
            table.append_constraint(
                UniqueConstraint("tenant_id", "id", name=f"uq_{table.name}_tenant_id_id")
            )


class TenantTagged(Tenancy):
    """A record of the service that may be about a tenant, and outlives it."""

    tenant_id: Mapped[UUID | None] = mapped_column()

    def __init_subclass__(cls, **options: Any) -> None:  # noqa: ANN401
        super().__init_subclass__(**options)
        table = table_of(cls)
        if table is not None:
            TAGGED.add(table.name)
            columns = [table.columns[name] for name in ("tenant_id", "created_at", "id")]
            Index(f"ix_{table.name}_tenant_id", *columns)


@event.listens_for(Tenancy, "init", propagate=True)
def stamp(row: Tenancy, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """A new row belongs to the current tenant, unless it names another."""
    kwargs.setdefault("tenant_id", current())
