"""MySQL and MariaDB, through asyncmy."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, DateTime, Engine, String, event, text
from sqlalchemy.dialects.mysql import DATETIME
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError

from app.core.db.dialects import again
from app.core.db.dialects.access import Access, refusal
from app.core.db.dialects.faults import Fault
from app.core.db.dialects.sqlite import embedded as sqlite_file

logger = logging.getLogger(__name__)

driver = "mysql+asyncmy"
schemes = ("mysql", "mariadb")
poolable = False
pooled_args: Mapping[str, Any] = {}
fetch = None
instant: DateTime = DATETIME(fsp=6)
# https://dev.mysql.com/doc/mysql-errors/en/server-error-reference.html
refusals: Mapping[str | int, str] = {
    1044: "grant it rights on the database, or correct the name",
    1045: "correct the user or the password",
    1698: "correct the user or the password",  # MariaDB answers so to some users that it does not know
    1049: "create it, or correct the name",
    1021: "free space on the disk of the server",
    1142: "grant the user that right, or name another user",
}
# Switching autocommit on and off costs more round trips here than the transaction it avoids.
read_options: Mapping[str, Any] = {}

ROW_RIGHTS = "SELECT, INSERT, UPDATE, DELETE"
LOCK = "app_migrations"
LOCK_SECONDS = 300

FAULTS = {
    1054: Fault.INCOMPLETE,  # column
    1146: Fault.INCOMPLETE,  # table
    1213: Fault.LOST_RACE,  # deadlock
    1205: Fault.LATE,  # innodb_lock_wait_timeout
    1792: Fault.READ_ONLY,  # transaction_read_only
    1836: Fault.READ_ONLY,  # innodb_read_only
    1969: Fault.LATE,  # max_statement_time
    3024: Fault.LATE,  # max_execution_time
}
# Numbers with more than one meaning, by a word in the message.
WORDED_FAULTS: dict[int, tuple[str, Fault | None]] = {
    1290: ("read-only", Fault.READ_ONLY),
    2013: ("read timeout", Fault.LATE),
}
READ_ONLY = (
    "SHOW VARIABLES WHERE value NOT IN ('OFF', '0') AND variable_name IN"
    " ('read_only', 'super_read_only', 'innodb_read_only', 'tx_read_only', 'transaction_read_only')"
)
REFUSE_READ_ONLY = (
    "SIGNAL SQLSTATE '25006' SET MYSQL_ERRNO = 1792, MESSAGE_TEXT = 'it is read-only'"
)
EXEMPT = (  # from `read_only`, not from the others
    "SELECT 1 FROM information_schema.user_privileges"
    " WHERE grantee = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')"
    " AND privilege_type IN ('SUPER', 'READ_ONLY ADMIN', 'CONNECTION_ADMIN')"
)

TRIGGER = "append_only_"
REFUSE = "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '[refusal]'"
# SYSDATE is the server's time; NOW and UTC_TIMESTAMP follow the `timestamp` that a session has set.
REFUSE_EARLY = f"""\
IF COALESCE(OLD.created_at >=
    CONVERT_TZ(SYSDATE(6), @@session.time_zone, '+00:00') - INTERVAL [days] DAY, TRUE)
THEN {REFUSE}; END IF"""

# Strict, in UTC, and isolated as on other databases, whatever the server's configuration.
SESSION = (
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,NO_ENGINE_SUBSTITUTION',"
    " time_zone = '+00:00'",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
)


def exact_text(length: int) -> String:
    """Compared with case and accents."""
    return String(length, collation="utf8mb4_bin")


def connect_args(url: URL, *, timeout: float) -> dict[str, Any]:
    """`timeout` bounds connecting and every answer."""
    return {
        "charset": "utf8mb4",
        "connect_timeout": max(1, int(timeout)),
        "read_timeout": timeout,
    }


def configure(engine: Engine, *, role: str, deployed: bool, pooled: bool) -> None:
    """The same strict session on every connection."""

    @event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, record: object) -> None:
        cursor = connection.cursor()
        for statement in SESSION:
            cursor.execute(statement)
        cursor.close()


def liveness(connection: Any) -> Callable[[], bool]:  # noqa: ANN401, SQLAlchemy's adapter
    """The driver notices when the server closes a connection."""
    driver = connection.driver_connection
    return lambda: not driver._stream_broken


def execute_again(engine: Engine) -> None:
    """The first statement of a transaction begins it."""
    again.execute_again(engine, is_first, fault_of)


def is_first(cursor: Any, statement: str) -> bool:  # noqa: ANN401, SQLAlchemy's
    """Whether nothing was executed in its transaction before; without one, whether it only reads."""
    connection = cursor._connection
    if connection.get_autocommit():
        return again.only_reads(statement)
    return not connection.get_transaction_status()


def keep_index_order(connection: Connection) -> None:
    """It always does."""


def fault_of(error: BaseException | None) -> Fault | None:
    """The fault, by the server's error number or asyncmy's."""
    number: Any = error.args[0] if error and error.args else None
    word, fault = WORDED_FAULTS.get(number, ("", FAULTS.get(number)))
    return fault if word in str(error) else None


def demand_writable(connection: Connection) -> None:
    """Fail if a variable forbids writes; a privileged login is exempt from `read_only`."""
    found = set(connection.scalars(text(READ_ONLY)))
    if found and (found != {"read_only"} or not connection.scalar(text(EXEMPT))):
        connection.exec_driver_sql(REFUSE_READ_ONLY)


def written(connection: Connection) -> None:
    """It shows this only to logins that administer replication."""


replayed = written


def lock(connection: Connection) -> None:
    """Take a named lock, which is released with the connection."""
    got = connection.scalar(
        text("SELECT GET_LOCK(:name, :seconds)"), {"name": LOCK, "seconds": LOCK_SECONDS}
    )
    if got != 1:
        raise TimeoutError(f"another process has been migrating for {LOCK_SECONDS} seconds")


def grant(connection: Connection, access: Access) -> None:
    """Grant the login of `DATABASE_URL` rights on each table, unless it is the owner.

    If the owner may not, a warning says what to ask an administrator for; the migration stands.
    """
    owner = connection.scalar(text("SELECT CURRENT_USER()")) or ""
    try:
        make_append_only(connection, access)
    except DBAPIError as error:
        logger.warning(
            "%s may not create triggers (%s): the service may not delete rows of %s, however old."
            " As an administrator, grant it TRIGGER, and where a binary log is written set"
            " log_bin_trust_function_creators = 1; then run `app db upgrade` again",
            owner,
            error.orig,
            ", ".join(access.append_only),
        )
    if not access.login or owner.split("@")[0] == access.login:
        return
    try:
        for statement in grants(connection, access):
            connection.exec_driver_sql(statement)
    except DBAPIError as error:
        logger.warning(
            "%s may not grant rights to %s (%s): as an administrator, grant it SELECT, INSERT and DELETE on"
            " all tables, and UPDATE on all but %s",
            owner,
            access.login,
            error.orig,
            ", ".join(access.append_only),
        )


def make_append_only(connection: Connection, access: Access) -> None:
    """Refuse updates of rows of these tables, and deletions that come too early; not TRUNCATE.

    New triggers are created before old ones are dropped.
    """
    wanted, found = triggers(access), triggers_there(connection)
    for name in wanted.keys() - found:
        connection.exec_driver_sql(wanted[name])
    for name in found - wanted.keys():
        connection.exec_driver_sql(f"DROP TRIGGER {quote(connection, name)}")


def triggers(access: Access) -> dict[str, str]:
    """The statements that create them, by names that are unique to each retention period."""
    made: dict[str, str] = {}
    for table, days in access.append_only.items():
        for kind, body in ("UPDATE", REFUSE), ("DELETE", REFUSE_EARLY if days else REFUSE):
            rule = f"BEFORE {kind} ON `{table}` FOR EACH ROW {body}"
            rule = rule.replace("[days]", str(days)).replace("[refusal]", refusal(table, days))
            name = f"{TRIGGER}{sha256(rule.encode()).hexdigest()[:16]}"
            made[name] = f"CREATE TRIGGER {name} {rule}"
    return made


def triggers_there(connection: Connection) -> set[str]:
    """The names of the existing triggers."""
    names = connection.scalars(
        text(
            "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()"
        )
    )
    return {name for name in names if name.startswith(TRIGGER)}


def enforces(connection: Connection, access: Access) -> bool:
    """Whether the triggers are up to date."""
    return triggers_there(connection) == triggers(access).keys()


def grants(connection: Connection, access: Access) -> Iterator[str]:
    """Statements that grant the service's login what it needs, for each host that it may connect from."""
    kept = "SELECT, INSERT, DELETE" if enforces(connection, access) else "SELECT, INSERT"
    hosts = text("SELECT host FROM mysql.user WHERE user = :login")
    for host in connection.scalars(hosts, {"login": access.login}).all():
        who = f"{quote(connection, access.login or '')}@{quote(connection, host)}"
        for table in access.tables:
            rights = kept if table in access.append_only else ROW_RIGHTS
            yield f"GRANT {rights} ON {quote(connection, table)} TO {who}"
        yield f"GRANT SELECT ON alembic_version TO {who}"
    # Earlier versions purged under a role of their own, one for each database.
    database = (connection.engine.url.database or "").encode()
    purger = f"{access.role or 'app'}_purge"[:20] + f"_{sha256(database).hexdigest()[:8]}"
    if connection.scalar(text("SELECT 1 FROM mysql.user WHERE user = :name"), {"name": purger}):
        yield f"DROP ROLE {quote(connection, purger)}"


def index_text(connection: Connection, access: Access) -> None:
    """It has no index for any part of a text."""


def quote(connection: Connection, name: str) -> str:
    """`name` as an identifier."""
    return connection.dialect.identifier_preparer.quote_identifier(name)


def embedded(directory: Path) -> AbstractContextManager[URL]:
    """A SQLite file stands in, as no MySQL runs without set-up."""
    return sqlite_file(directory)
