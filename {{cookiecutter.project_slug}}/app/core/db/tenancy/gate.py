"""The final check of each statement: whatever its origin, its SQL reads and changes rows of one tenant only.

Wherever a table of tenants stands, `orders.tenant_id = <parameter>` must be a condition of its own in the WHERE, or
in the ON that decides about it. A text is parsed once, the values of those parameters are compared each time. Only a
cursor of the driver's own does not pass here.
"""

import re
from collections.abc import Collection, Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from itertools import count
from typing import Any, NamedTuple
from uuid import UUID

import sqlglot
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.pool import ConnectionPoolEntry
from sqlglot import exp
from sqlglot.dialects.dialect import Dialects
from sqlglot.errors import SqlglotError

from app.core.db.tenancy.rows import OWNED, TAGGED
from app.core.tenancy import AllTenants, Scope

SCOPE = "tenant_scope"
"""In a connection's `info`: the scope of the session that uses it."""

PARAMETERS = {
    "numeric_dollar": r"\$(?P<number>\d+)(?:(?i:::UUID)\b)?(?P<quoted>)",
    "format": r"%s(?P<number>)(?P<quoted>)",
    "qmark": r"\?(?P<number>)|(?P<quoted>'[^']*'|\"[^\"]*\"|`[^`]*`|\[[^\]]*\])",
}
"""How drivers write a parameter, by SQLAlchemy's names of their styles."""
WRITES = (exp.Insert, exp.Update, exp.Delete)
KINDS = (exp.Query, exp.Set, exp.Commit, exp.Rollback, *WRITES)
JOINS = {"", "INNER", "OUTER", "CROSS", "NATURAL", "STRAIGHT_JOIN"}
"""Others name the table before them, as in `p SEMI JOIN q`."""
Places = list[tuple[Any, list[int]]]
SAVEPOINT = re.compile(r"(?:RELEASE |ROLLBACK TO )?SAVEPOINT \w+")
UNSURE = re.compile(
    r"--|/\*|[\\$]|@\w|(?<!:):(?!_\d)\w|\bu&|_to_xml|\b(?:dblink|crosstab|connectby|xpath_|ts_stat|ts_rewrite|pg_stat)",
    re.IGNORECASE,
)
"""What databases read differently (comments, escapes, other parameters), and functions that run SQL or show samples."""
NESTED = re.compile(r"\(\s*(?:select|table|with|insert|update|delete)\b|--|/\*", re.IGNORECASE)
ITEM = r"(?::_[^(),']+|\(:_[^()']+\))"
LIST = re.compile(rf"(?:(?<=\bIN \()|(?<=\bVALUES ))({ITEM})(?:, {ITEM})+")
"""Lists that are shortened to one item before parsing, which is slow for long ones."""
ALLOWED = (
    "within a tenant run only SELECT, INSERT, UPDATE, DELETE and SET, one at a time, without comments,"
    " backslashes and functions that run SQL: give strings as parameters"
)

vouched: ContextVar[bool] = ContextVar("tenant_vouched", default=False)


class TenancyError(Exception):
    """A bug in the service: it was about to read or write rows of no tenant, or of another."""


class Verdict(NamedTuple):
    """Where a text names tables of tenants, and which parameters may be the tenant there, by position."""

    places: Collection[tuple[str, Collection[int]]]
    fault: str = ""


@contextmanager
def vouching() -> Generator[None]:
    """Accept what is executed here, except queries within it: each row that it writes was checked."""
    token = vouched.set(True)
    try:
        yield
    finally:
        vouched.reset(token)


def watch(engine: Engine) -> None:
    """Check every statement of this engine."""
    if not event.contains(engine, "before_cursor_execute", look):
        event.listen(engine, "before_cursor_execute", look)
        event.listen(engine, "checkin", forget)


def look(
    connection: Connection,
    cursor: DBAPICursor,
    statement: str,
    parameters: Any,  # noqa: ANN401, the driver's
    context: object,
    many: bool,
) -> None:
    """Refuse the statement, unless each of its executions is confined to the session's tenant."""
    scope, trusted = connection.info.get(SCOPE), vouched.get()
    if isinstance(scope, AllTenants) or (trusted and not NESTED.search(statement)):
        return
    dialect = connection.dialect
    verdict = judge(statement, dialect.name, dialect.paramstyle, trusted=trusted)
    confine(verdict, scope, parameters if many else [parameters])


def confine(verdict: Verdict, scope: Scope, executions: Iterable[Any]) -> None:
    """Require that each execution is confined to this tenant, or reads no rows of tenants if there is none."""
    if isinstance(scope, UUID):
        refuse_others(verdict, scope, executions)
    else:
        for table in OWNED.intersection(table.lower() for table, _ in verdict.places):
            raise TenancyError(f"{table} belongs to tenants, and there is none at hand")


def forget(connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
    """Clear the scope: the next session has its own."""
    record.info.pop(SCOPE, None)


def refuse_others(verdict: Verdict, tenant_id: UUID, executions: Iterable[Any]) -> None:
    """Require that at each occurrence, in each execution, a parameter is this tenant."""
    if verdict.fault:
        raise TenancyError(verdict.fault)
    own = (tenant_id, tenant_id.hex, str(tenant_id))
    for table, positions in verdict.places:
        if not all(any(values[n] in own for n in positions) for values in executions):
            raise TenancyError(
                f"{table} stands in a place without its tenant: begin with its mapped class, as in"
                f" select(Model.id).where(...), or write {table}.tenant_id = :tenant_id as a condition of"
                " its own beside the others; add rows as objects or with execute(insert(Model), [{...}])"
            )


@lru_cache(maxsize=1024)
def judge(statement: str, dialect: str, style: str, *, trusted: bool = False) -> Verdict:
    """What must hold for a text to be confined to one tenant; the writes of a `trusted` one were checked."""
    closed = OWNED | TAGGED
    tree = parse(statement, parsed_as(dialect), PARAMETERS[style])
    if tree is None:
        words = closed.intersection(re.findall(r"\w+", statement.lower()))
        fault = "" if SAVEPOINT.fullmatch(statement) else ALLOWED
        return Verdict([(word, ()) for word in words], fault)
    for lock in [*tree.find_all(exp.Lock)]:  # its tables are names of those in FROM
        lock.pop()
    filters: dict[int, list[int]] = {}
    for query in tree.find_all(exp.Select, exp.Update, exp.Delete):
        found = standing(query)
        if len({item.alias_or_name.lower() for item, _ in found}) == len(found):
            filters |= {id(item): positions for item, positions in found}
    target = tree.this.find(exp.Table) if trusted and isinstance(tree, WRITES) else None
    tables = [table for table in tree.find_all(exp.Table) if table.name.lower() in closed]
    places = [(each.name, filters.get(id(each), ())) for each in tables if each is not target]
    changes = [change.this for each in tree.find_all(exp.Update) for change in each.expressions]
    names = {each.name.lower() for change in changes for each in change.find_all(exp.Identifier)}
    return Verdict(places, "no row moves to another tenant" if "tenant_id" in names else "")


@lru_cache
def parsed_as(dialect: str) -> str:
    """The parser's name of a database, which SQLAlchemy may spell out."""
    return next(each for each in Dialects if each and dialect.startswith(each))


def parse(statement: str, dialect: str, parameter: str) -> exp.Expr | None:
    """The single statement of this text, with numbered parameters, if its meaning is unambiguous."""
    numbers = count(1)

    def number(match: re.Match[str]) -> str:
        return match["quoted"] or f":_{match['number'] or next(numbers)}"

    text = LIST.sub(r"\1", re.sub(parameter, number, statement.replace("%%", "% ")))
    try:
        (tree,) = sqlglot.parse(text, dialect=dialect)
    except (SqlglotError, RecursionError, ValueError):
        return None
    if UNSURE.search(text) or not isinstance(tree, KINDS):
        return None
    odd = any({join.kind, join.method} - JOINS for join in tree.find_all(exp.Join))
    return None if odd else tree


def standing(node: exp.Expr) -> Places:
    """What occurs in FROM or USING, or is written to; each with the conditions that filter it."""
    places: Places = [(node, [])] if isinstance(node, exp.Table) or node.alias else []
    for child in () if node.alias else node.iter_expressions():  # an alias hides names inside
        if isinstance(child, exp.From | exp.Table | exp.Subquery):
            places += standing(child.this if isinstance(child, exp.From) else child)
    for join in node.args.get("joins") or ():
        joined = standing(join.this)
        # What an outer join keeps in any case, its ON does not filter.
        reached = {"": places + joined, "LEFT": joined, "RIGHT": places}.get(join.side, [])
        note(join.args.get("on"), reached)
        places += joined
    note(node.args.get("where"), places)
    return places


def note(condition: exp.Expr | None, places: Places) -> None:
    """Assign to each occurrence the parameters that its `tenant_id` must equal."""
    match condition:
        case exp.Where() | exp.Paren():
            note(condition.this, places)
        case exp.And():
            note(condition.left, places)
            note(condition.right, places)
        case exp.EQ(
            left=exp.Column(name="tenant_id") as column, right=exp.Placeholder(this=str(key))
        ):
            owner = column.parts[:-1]
            for item, positions in places:
                name = [item.args["alias"].this] if item.alias else item.parts
                renamed = item.alias_column_names  # `tenant_id` may be another column then
                if owner and name[-len(owner) :] == owner and not renamed:
                    positions.append(int(key[1:]) - 1)
        case _:
            pass
