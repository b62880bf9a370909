"""The last look at each statement: what names a table of tenants has been narrowed, or is refused.

Whatever made the statement (the ORM, Core, text, a driver's cursor), its final SQL passes here. It is
judged once for each text that SQLAlchemy produces.
"""

import re
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPICursor, ExecutionContext

from app.core.db.tenancy.rows import OWNED, TAGGED
from app.core.tenancy import AllTenants, Scope

SCOPE = "tenant_scope"
"""In a connection's `info`: for whom the session that uses it works."""
FILTERED = "tenant_filtered"
"""An execution option: the session has narrowed this statement to its tenant."""
BOUND = r"(?:\$\d+(?:::\w+)?|%s|\?)"

vouched: ContextVar[bool] = ContextVar("tenant_vouched", default=False)


class TenancyError(Exception):
    """A bug in the service: it was about to read or write rows of no tenant, or of another."""


@contextmanager
def vouching() -> Generator[None]:
    """Let pass what is executed here; each of its rows has been checked."""
    token = vouched.set(True)
    try:
        yield
    finally:
        vouched.reset(token)


def watch(engine: Engine) -> None:
    """Look at every statement of this engine."""

    @event.listens_for(engine, "before_cursor_execute")
    def look(
        connection: Connection,
        cursor: DBAPICursor,
        statement: str,
        parameters: object,
        context: ExecutionContext | None,
        many: bool,
    ) -> None:
        if vouched.get():
            return
        options: dict[str, Any] = dict(context.execution_options) if context else {}
        if options.get(FILTERED):
            refuse_unfiltered(statement)
        else:
            refuse_unnarrowed(statement, connection.info.get(SCOPE))


def refuse_unfiltered(statement: str) -> None:
    """Each place where a table of tenants stands must have its filter."""
    for table in unfiltered(statement):
        raise TenancyError(f"{table} is named without its tenant: use the mapped class")


def refuse_unnarrowed(statement: str, scope: Scope) -> None:
    """What no session has narrowed may name no table of tenants, unless all of them are meant."""
    if isinstance(scope, AllTenants):
        return
    closed = OWNED | TAGGED if isinstance(scope, UUID) else OWNED
    for table in named(statement) & closed:
        if isinstance(scope, UUID):
            raise TenancyError(
                f"{table} cannot be narrowed to one tenant here: use a select, update or delete of"
                f" the mapped class, or a text with {table}.tenant_id = :tenant_id"
            )
        raise TenancyError(f"{table} belongs to tenants, and there is none at hand")


@lru_cache(maxsize=4096)
def named(statement: str) -> frozenset[str]:
    """The tables with tenants that a statement names."""
    return frozenset(re.findall(r"\w+", statement)) & (OWNED | TAGGED)


@lru_cache(maxsize=4096)
def unfiltered(statement: str) -> frozenset[str]:
    """Those that stand somewhere without `tenant_id = ` beside them.

    A name that stands in several places, each with a query of its own, needs as many filters.
    """
    plain = re.sub(r'["`]|\bFOR (NO KEY )?(UPDATE|SHARE) OF [\w, ]+', "", statement)
    if plain.startswith("INSERT"):
        return frozenset()  # its rows are stamped
    if plain.startswith("UPDATE") and re.search(r"\btenant_id=", plain):
        return named(statement)
    standing: dict[str, list[str]] = {}
    for table in named(statement):
        for alias in re.findall(rf"(?<![.\w])(?<!AS ){table}\b(?!\.)(?: AS (\w+))?", plain):
            standing.setdefault(alias or table, []).append(table)
    return frozenset(
        tables[0]
        for name, tables in standing.items()
        if len(re.findall(rf"\b{name}\.tenant_id = {BOUND}", plain)) < len(tables)
    )


def refuse_splitting(fragment: str) -> None:
    """Within a statement, text may not reach beyond its own place: no bare OR, no comment."""
    if splits(fragment):
        raise TenancyError(
            f"the text {fragment!r} would stand beside the tenant's filter: write it without SQL text"
        )


@lru_cache(maxsize=1024)
def splits(fragment: str) -> bool:
    """Whether it holds an OR, a set operation, a comment or a table of tenants."""
    words = {word.upper() for word in re.findall(r"\w+", fragment)}
    risky = words & {"OR", "XOR", "UNION", "EXCEPT", "INTERSECT", "SELECT"}
    return bool(risky or re.search(r"--|/\*|#|;|\|\|", fragment) or named(fragment))
