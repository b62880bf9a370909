"""Sessions that read and write the rows of one tenant."""

from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    Connection,
    Executable,
    Insert,
    Result,
    Select,
    TextClause,
    bindparam,
    event,
    inspect,
)
from sqlalchemy.orm import (
    FromStatement,
    InstanceState,
    ORMExecuteState,
    Session,
    SessionTransaction,
    UOWTransaction,
    with_loader_criteria,
)

from app.core.db.tenancy import gate
from app.core.db.tenancy.rows import Tenancy, TenantOwned
from app.core.tenancy import Scope, scope

TENANT = "tenant_id"
BESIDE_ROWS = ("_values", "_multi_values", "select", "_post_values_clause", "_prefixes")
"""Parts of an insert beside the rows that it is executed with."""


class TenantSession(Session):
    """A session of the tenant that was current when it was opened; it never changes."""

    scope: Scope

    def __init__(self, **options: Any) -> None:  # noqa: ANN401, SQLAlchemy's
        super().__init__(**options)
        self.scope = scope.get()

    def flush(self, objects: Any = None) -> None:  # noqa: ANN401, SQLAlchemy's
        """Write; each row was checked in `check_rows`."""
        with gate.vouching():
            super().flush(objects)


def own_rows(tenant_id: UUID) -> Any:  # noqa: ANN401, SQLAlchemy's type for it says less
    """The filter: wherever a statement names a tenant table, the rows of this tenant."""
    return with_loader_criteria(
        Tenancy,
        lambda row: row.tenant_id == tenant_id,
        include_aliases=True,
    )


@event.listens_for(TenantSession, "after_begin")
def note_scope(
    session: TenantSession, transaction: SessionTransaction, connection: Connection
) -> None:
    """Note the session's scope on the connection, for the check at the cursor."""
    connection.info[gate.SCOPE] = session.scope


@event.listens_for(TenantSession, "do_orm_execute")
def narrow(state: ORMExecuteState) -> Result[Any] | None:
    """Within a tenant: filter or stamp the statement, or leave it to the check at the cursor."""
    tenant_id = cast("TenantSession", state.session).scope
    if not isinstance(tenant_id, UUID):
        return None
    statement = state.statement
    if isinstance(statement, TextClause):
        state.statement = narrow_text(statement, tenant_id)
    elif state.is_orm_statement and not isinstance(statement, FromStatement):
        if isinstance(statement, Insert):
            return stamp_insert(state, statement, tenant_id)
        if not (state.is_update and state.is_executemany):
            state.statement = filtered(state, tenant_id)
    return None


def filtered(state: ORMExecuteState, tenant_id: UUID) -> Executable:
    """The statement with its filter; for refreshes of rows, SQLAlchemy ignores loader criteria."""
    statement = state.statement
    mapper = state.bind_mapper
    if state.is_column_load and mapper is not None and issubclass(mapper.class_, Tenancy):
        statement = cast("Select[Any]", statement).where(mapper.class_.tenant_id == tenant_id)
    return statement.options(own_rows(tenant_id))


def narrow_text(statement: TextClause, tenant_id: UUID) -> TextClause:
    """Bind the value of `:tenant_id` in text."""
    named = TENANT in statement.compile().params
    return statement.bindparams(bindparam(TENANT, tenant_id)) if named else statement


def stamp_insert(state: ORMExecuteState, statement: Insert, tenant_id: UUID) -> Result[Any] | None:
    """`execute(insert(Model), rows)`: each row belongs to the session's tenant."""
    mapper = state.bind_mapper
    if mapper is None or not issubclass(mapper.class_, Tenancy):
        return None
    given: Any = state.parameters
    beside: list[object] = [getattr(statement, name, None) for name in BESIDE_ROWS]
    if not given or any(is_there(part) for part in beside):
        raise gate.TenancyError(
            "add the rows of a tenant as objects, or with execute(insert(Model), [{...}, ...])"
        )
    single = not state.is_executemany
    rows: list[dict[str, Any]] = [given] if single else given
    if any(row.get(TENANT, tenant_id) != tenant_id for row in rows):
        raise gate.TenancyError("a row of another tenant cannot be added here")
    stamped = [{**row, TENANT: tenant_id} for row in rows]
    state.parameters = stamped[0] if single else stamped
    with gate.vouching():
        return state.invoke_statement()


def is_there(part: object) -> bool:
    """Whether a statement has this part; clauses have no truth value."""
    return bool(cast("tuple[object, ...]", part)) if isinstance(part, tuple) else part is not None


@event.listens_for(TenantSession, "before_flush")
def check_rows(session: TenantSession, context: UOWTransaction, instances: object) -> None:
    """Require that what is written belongs to the session's tenant, permanently."""
    for row in session.new:
        if isinstance(row, Tenancy):
            row.tenant_id = row.tenant_id or tenant_of(session.scope)
            check_row(session.scope, row)
    for row in (*session.dirty, *session.deleted):
        if isinstance(row, Tenancy):
            state: InstanceState[Any] = inspect(row)
            if state.attrs.tenant_id.history.has_changes():
                raise gate.TenancyError("no row moves from one tenant to another")
            if TENANT in state.dict:  # else it was read here, without that column
                check_row(session.scope, row)


def tenant_of(value: Scope) -> UUID | None:
    """The tenant of this scope, if it is one."""
    return value if isinstance(value, UUID) else None


def check_row(value: Scope, row: Tenancy) -> None:
    """Refuse a row outside this scope."""
    tenant_id = row.tenant_id
    if isinstance(value, UUID) and tenant_id != value:
        raise gate.TenancyError(f"this {type(row).__name__} belongs to another tenant")
    if isinstance(row, TenantOwned) and (value is None or tenant_id is None):
        raise gate.TenancyError(f"say which tenant this {type(row).__name__} belongs to")


@event.listens_for(TenantSession, "before_attach")
def check_stranger(session: TenantSession, row: object) -> None:
    """Refuse a row of another session: its tenant was not checked here."""
    if isinstance(row, Tenancy) and isinstance(session.scope, UUID):
        state: InstanceState[Any] = inspect(row)
        if state.key is not None:
            raise gate.TenancyError(f"read this {type(row).__name__} again, in this session")
