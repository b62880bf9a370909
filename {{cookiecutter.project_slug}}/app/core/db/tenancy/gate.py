"""The last look at each statement: what names a table of tenants has been narrowed, or is refused.

Whatever made a statement (the ORM, Core, text, `exec_driver_sql`), its final SQL passes here; only a cursor of the
driver's own does not. It is judged once for each text that SQLAlchemy produces.
"""

import re
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor, ExecutionContext
from sqlalchemy.pool import ConnectionPoolEntry

from app.core.db.tenancy.rows import OWNED, TAGGED
from app.core.tenancy import AllTenants, Scope

SCOPE = "tenant_scope"
"""In a connection's `info`: for whom the session that uses it works."""
NARROWED = "tenant_narrowed"
"""An execution option: what the session has done with this statement."""
STAMPED, FILTERED, TEXT = "stamped", "filtered", "text"

BOUND = r"(?:\$\d+(?:::\w+)?|%s|\?)"
MARKED = "/* tenant */ ="
"""How the session writes its filters, so that they are told from what anybody else compares."""
FILTER = {FILTERED: rf"\b[name]\.tenant_id == {BOUND}", TEXT: rf"\b[name]\.tenant_id\s*=\s*{BOUND}"}

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
        how = options.get(NARROWED)
        if how in FILTER:
            refuse_unfiltered(statement, how)
        elif how != STAMPED:
            refuse_unnarrowed(statement, connection.info.get(SCOPE))

    @event.listens_for(engine, "checkin")
    def forget(connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        record.info.pop(SCOPE, None)


def refuse_unfiltered(statement: str, how: str) -> None:
    """Each place where a table of tenants stands must have its filter."""
    for table in unfiltered(statement, how):
        raise TenancyError(
            f"{table} stands in a place without its tenant: name it by its mapped class, or in text"
            f" with {table}.tenant_id = :tenant_id"
        )


def refuse_unnarrowed(statement: str, scope: Scope) -> None:
    """What no session has narrowed may name no table of tenants, unless all of them are meant."""
    if isinstance(scope, AllTenants):
        return
    closed = OWNED | TAGGED if isinstance(scope, UUID) else OWNED
    for table in named(statement) & closed:
        if isinstance(scope, UUID):
            raise TenancyError(
                f"{table} cannot be narrowed to one tenant here: begin with its mapped class, as in"
                f" select(Model.id).where(...), or write a text with {table}.tenant_id = :tenant_id"
            )
        raise TenancyError(f"{table} belongs to tenants, and there is none at hand")


def plain(statement: str) -> str:
    """Without what is quoted, without comments, in small letters."""
    marked = statement.replace(MARKED, "==")
    without = re.sub(r"'(?:[^']|'')*'|/\*.*?\*/|--[^\n]*", " ", marked, flags=re.DOTALL)
    return re.sub(r'["`]', "", without).lower()


@lru_cache(maxsize=4096)
def named(statement: str) -> frozenset[str]:
    """The tables with tenants that a statement may be about; not a column's or a label's name."""
    text = re.sub(r"\bas\s+\w+", " ", plain(statement))
    words = set(re.findall(r"(?<![\w.])\w+\b(?!\s*=[^=])", text))
    words |= set(re.findall(r"\b(?:from|join|into|update|table|only|using|,)\s+\w+\.(\w+)", text))
    return frozenset(words) & (OWNED | TAGGED)


@lru_cache(maxsize=4096)
def unfiltered(statement: str, how: str) -> frozenset[str]:
    """Those that stand somewhere without their filter beside them.

    A name that stands in several places, each with a query of its own, needs as many filters.
    """
    text = re.sub(r"\bfor (?:no key )?(?:update|share) of [\w, ]+", " ", plain(statement))
    if re.search(r"\btenant_id=", text) and how == FILTERED:
        return named(statement) or frozenset({"a table"})  # a row would move
    standing: dict[str, list[str]] = {}
    for table in OWNED | TAGGED:
        places = rf"(?:\b(?:from|join|into|update|using|only)\s|[,(])[\s(]*(?:\w+\.)?{table}\b(?!\s*[.=])"
        for alias in re.findall(rf"{places}(?:\s+as\s+(\w+)|\s+(?!{AFTER_TABLE})(\w+))?", text):
            standing.setdefault(alias[0] or alias[1] or table, []).append(table)
    return frozenset(
        tables[0]
        for name, tables in standing.items()
        if len(re.findall(FILTER[how].replace("[name]", name), text)) < len(tables)
    )


# What may follow the name of a table, and is no other name for it.
AFTER_TABLE = (
    r"(?:where|join|inner|left|right|full|cross|natural|on|group|order|having|limit|offset|union|"
    r"except|intersect|set|using|values|for|window|fetch|returning|select|default|tablesample)\b"
)


def refuse_splitting(fragment: str) -> None:
    """Within a statement, text may not reach beyond its own place: no OR, no query, no comment."""
    if splits(fragment):
        raise TenancyError(
            f"the text {fragment!r} would stand beside the tenant's filter: write it without SQL text"
        )


@lru_cache(maxsize=1024)
def splits(fragment: str) -> bool:
    """Whether it holds an OR, a query, a comment or a table of tenants."""
    text = re.sub(r"'(?:[^']|'')*'", " ", fragment)
    words = {word.lower() for word in re.findall(r"\w+", text)}
    risky = words & {"or", "xor", "union", "except", "intersect", "select"}
    return bool(risky or re.search(r"--|/\*|#|;|\|\||'", text) or words & (OWNED | TAGGED))


def is_plain_query(text: str) -> bool:
    """Whether a text only reads, and holds no OR that would reach beyond a pair of brackets."""
    rest, before = plain(text), ""
    while rest != before:
        rest, before = re.sub(r"\((?:(?!\bselect\b)[^()])*\)", " ", rest), rest
    first = rest.split(maxsplit=1)[:1]
    wide = re.search(
        r"\b(?:or|xor|union|except|intersect|into|update|delete|insert)\b|\|\||#|;", rest
    )
    return first in (["select"], ["with"]) and not wide
