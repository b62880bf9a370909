"""Whatever a session is asked, it shows and changes the rows of its tenant, or refuses."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from alembic.autogenerate.api import render_python_code
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from fastapi import FastAPI
from sqlalchemy import (
    Column,
    Executable,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    Uuid,
    bindparam,
    delete,
    event,
    exists,
    func,
    insert,
    inspect,
    literal_column,
    make_url,
    or_,
    select,
    text,
    true,
    union,
    union_all,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    aliased,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
    subqueryload,
)

from app.core.db.base import APPEND_ONLY, Base
from app.core.db.carried import ENGINE
from app.core.db.dialects import DIALECTS, dialect_of
from app.core.db.dialects.access import Access
from app.core.db.errors import DeletedMeanwhile
from app.core.db.resource import Resource
from app.core.db.session import Database, reading, unit_of_work
from app.core.db.tenancy import TenantOwned, adoption
from app.core.db.tenancy.crossing import all_tenants
from app.core.db.tenancy.gate import TenancyError, Verdict, judge
from app.core.db.tenancy.rows import OWNED, TAGGED
from app.core.jobs import job
from app.core.jobs.models import JobRun
from app.core.jobs.outbox import enqueue
from app.core.jobs.runner import run_due
from app.core.jobs.work import Work
from app.core.settings import Settings
from app.core.tenancy import AllTenants, current, within
from app.features.audit.models import AuditEvent
from app.features.audit.service import record
from app.features.tenants.models import Tenant
from app.installed import FEATURES
from tests import tenancy_constructs as constructs
from tests.inline import serving

# Tables without a tenant, and why they show nothing of other tenants.
GLOBAL = {
    "users": "a user may be a member of several tenants; others see those of their own through members",
    "roles": "what may be done in the service as a whole",
    "user_roles": "who may do what in the service as a whole",
    "auth_sessions": "belong to a person, who alone reaches them",
    "refresh_tokens": "belong to a session",
    "mailed_tokens": "belong to a person",
    "tenants": "is what the others refer to; read by its id, after the membership",
}


class Shelves(DeclarativeBase):
    """Tables of these tests alone, beside the service's."""

    metadata = Base.metadata.__class__(naming_convention=Base.metadata.naming_convention)


for table in ("users", "tenants"):  # what theirs refer to
    Base.metadata.tables[table].to_metadata(Shelves.metadata)


class Shelf(TenantOwned, Shelves):
    """What holds books."""

    __tablename__ = "test_shelves"
    __table_args__ = (Resource.unique("name", name="uq_test_shelves_name"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    name: Mapped[str] = mapped_column(String(50))
    books: Mapped[list["Book"]] = relationship(foreign_keys="Book.shelf_id", back_populates="shelf")


class Book(TenantOwned, Shelves):
    """What stands on a shelf."""

    __tablename__ = "test_books"
    __table_args__ = (
        Resource.reference("shelf_id", "test_shelves", name="fk_test_books_shelf_id"),
        Resource.index("shelf_id", name="ix_test_books_shelf_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    shelf_id: Mapped[UUID]
    title: Mapped[str] = mapped_column(String(50))
    shelf: Mapped[Shelf] = relationship(foreign_keys="Book.shelf_id", back_populates="books")


TABLES = [cast("Table", Shelf.__table__), cast("Table", Book.__table__)]


Act = Callable[[AsyncSession], Awaitable[Any]]
Way = Callable[[AsyncSession, str, UUID], Awaitable[object]]


@dataclass(frozen=True)
class Library:
    """Two tenants with a shelf and two books each, and sessions for them."""

    database: Database
    ours: UUID
    theirs: UUID

    async def run(self, tenant: UUID | None, act: Act) -> Any:  # noqa: ANN401, what `act` gives
        """Do something in a session for `tenant`, and commit."""
        with within(tenant):
            async with unit_of_work(self.database) as session:
                return await act(session)

    async def read(self, act: Act) -> Any:  # noqa: ANN401, what `act` gives
        """Do something in a reading session for us."""
        with within(self.ours):
            async with reading(self.database) as session:
                return await act(session)

    async def titles(self, tenant: UUID) -> list[str]:
        """What a tenant's books are called."""

        async def act(session: AsyncSession) -> list[str]:
            return sorted(await session.scalars(select(Book.title)))

        return await self.run(tenant, act)


@pytest.fixture
async def library(
    committed_db: Database, owner: AsyncEngine, settings: Settings
) -> AsyncGenerator[Library]:
    login = settings.database_url.username if settings.database_url else None
    append_only = {t.name: 365 for t in Base.metadata.sorted_tables if APPEND_ONLY in t.info}
    names = [table.name for table in TABLES]
    access = Access(settings.database_role, login, names, append_only)
    async with owner.connect() as connection:
        for table in TABLES:
            await connection.run_sync(table.create)
        await connection.run_sync(lambda sync: dialect_of(owner.url).grant(sync, access))
    ours, theirs = uuid4(), uuid4()
    made = Library(committed_db, ours, theirs)
    try:
        async with unit_of_work(committed_db) as session:
            session.add_all([Tenant(id=ours, name="ours"), Tenant(id=theirs, name="theirs")])
        for tenant, word in ((ours, "our"), (theirs, "their")):

            async def fill(session: AsyncSession, word: str = word) -> None:
                books = [Book(title=f"{word} first"), Book(title=f"{word} second")]
                session.add(Shelf(name="shelf", books=books))

            await made.run(tenant, fill)
        yield made
    finally:
        async with owner.connect() as connection:
            for table in reversed(TABLES):
                await connection.run_sync(table.drop)


Other = aliased(Book)
SUBQUERY = select(Book).subquery()
FromSubquery = aliased(Book, SUBQUERY)
CTE = select(Book.id, Book.title).where(Book.title.contains("first")).cte("chosen")
FIRST = select(Shelf.id).where(Shelf.name == "shelf").cte("walk", recursive=True)
WALK = FIRST.union_all(select(Book.shelf_id).join(FIRST, FIRST.c.id == Book.id))
ALL = ["our first", "our second"]

QUESTIONS: dict[str, tuple[Executable, object]] = {
    "entities": (select(Book).order_by(Book.title), ALL),
    "columns": (select(Book.title).order_by(Book.title), ALL),
    "count": (select(func.count()).select_from(Book), [2]),
    "count of a subquery": (select(func.count()).select_from(select(Book).subquery()), [2]),
    "alias": (select(Other.title).order_by(Other.title), ALL),
    "alias beside the class": (
        select(Book.title, Other.title).where(Book.id < Other.id),
        1,
    ),
    "two that are not joined": (
        select(Book.title, Shelf.name).where(Shelf.id == Book.shelf_id),
        2,
    ),
    "exists": (
        select(Shelf.name).where(exists().where(Book.shelf_id == Shelf.id)),
        ["shelf"],
    ),
    "exists without correlation": (
        select(Shelf.name).where(exists(select(Book.id).where(Book.title == "their first"))),
        [],
    ),
    "scalar subquery": (select(select(func.count(Book.id)).scalar_subquery()), [2]),
    "in a subquery": (
        select(Shelf.name).where(Shelf.id.in_(select(Book.shelf_id))),
        ["shelf"],
    ),
    "any": (select(Shelf.name).where(Shelf.books.any(Book.title == "our first")), ["shelf"]),
    "any of another's": (
        select(Shelf.name).where(Shelf.books.any(Book.title == "their first")),
        [],
    ),
    "has": (select(Book.title).where(Book.shelf.has(Shelf.name == "shelf")), 2),
    "cte": (select(CTE.c.title), ["our first"]),
    "joined cte": (select(Book.title).join(CTE, CTE.c.id == Book.id), ["our first"]),
    "recursive cte": (select(func.count()).select_from(WALK), [1]),
    "union": (union(select(Book.title), select(Shelf.name)), 3),
    "union in a subquery": (
        select(union_all(select(Book.title), select(Shelf.name)).subquery()),
        3,
    ),
    "entity from a subquery": (select(FromSubquery.title).order_by(FromSubquery.title), ALL),
    "join": (select(Book.title).join(Book.shelf).order_by(Book.title), ALL),
    "outer join": (
        select(Shelf.name, Book.title).outerjoin(Book, Book.title.contains("first")),
        [("shelf", "our first")],
    ),
    "group": (select(Book.shelf_id, func.count()).group_by(Book.shelf_id), 1),
    "window": (
        select(Book.title, func.row_number().over(order_by=Book.title)),
        [("our first", 1), ("our second", 2)],
    ),
    "or": (
        select(Book.title).where(or_(Book.title == "their first", Book.title == "our first")),
        ["our first"],
    ),
    "joined eagerly": (select(Shelf).options(joinedload(Shelf.books)), 1),
    "loaded in a second select": (select(Shelf).options(selectinload(Shelf.books)), 1),
    "loaded by subquery": (select(Shelf).options(subqueryload(Shelf.books)), 1),
    "locked": (select(Book.title).order_by(Book.title).with_for_update(), ALL),
    "locked by name": (
        select(Book.title).join(Book.shelf).order_by(Book.title).with_for_update(of=Book),
        ALL,
    ),
    "text for the order": (select(Book.title).order_by(text("title")), ALL),
    "text with the tenant": (
        text(
            "SELECT title FROM test_books WHERE test_books.tenant_id = :tenant_id"
            " ORDER BY test_books.title"
        ),
        ALL,
    ),
}


def plain(row: Any) -> object:  # noqa: ANN401, whatever was asked for
    """What a row says."""
    values = [value.title if isinstance(value, Book) else value for value in row]
    return values[0] if len(values) == 1 else tuple(values)


async def test_every_kind_of_question_is_answered_for_one_tenant(
    library: Library, subtests: pytest.Subtests
) -> None:
    for question, (statement, expected) in QUESTIONS.items():
        with subtests.test(question):
            await assert_answered(library, statement, expected)


async def assert_answered(library: Library, statement: Executable, expected: object) -> None:
    """In a session that reads, and in one that writes: our rows, and no others."""

    async def act(session: AsyncSession) -> list[Any]:
        rows = (await session.execute(statement)).unique().all()
        for row in rows:
            if isinstance(row[0], Shelf):
                assert {book.title for book in row[0].books} == set(ALL)
        return [plain(row) for row in rows]

    for answer in (await library.read(act), await library.run(library.ours, act)):
        assert "their" not in str(answer)
        assert (len(answer) if isinstance(expected, int) else answer) == expected


async def test_an_object_of_another_tenant_is_not_found(library: Library) -> None:
    async def theirs(session: AsyncSession) -> Book:
        return (await session.scalars(select(Book))).first()  # pyright: ignore[reportReturnType]

    foreign: Book = await library.run(library.theirs, theirs)

    async def act(session: AsyncSession) -> None:
        assert await session.get(Book, foreign.id) is None
        assert await session.get(Shelf, foreign.shelf_id) is None
        own = (await session.scalars(select(Book))).first()
        assert own
        await session.refresh(own, ["shelf", "title"])
        assert own.shelf.tenant_id == library.ours
        session.expire(own)
        await session.refresh(own)

    await library.read(act)


CORE: Any = Book.__table__
REFUSED: dict[str, Callable[[Library, Book], Any]] = {
    "Core select": lambda _, __: select(CORE),
    "Core columns": lambda _, __: select(CORE.c.title),
    "Core alias": lambda _, __: select(CORE.alias().c.title),
    "Core in an ORM select": lambda _, __: select(Shelf.name).join(
        CORE, CORE.c.shelf_id == Shelf.id
    ),
    "Core in a subquery": lambda _, __: select(Shelf.name).where(
        Shelf.id.in_(select(CORE.c.shelf_id))
    ),
    "Core update": lambda _, __: CORE.update().values(title="x"),
    "Core delete": lambda _, __: CORE.delete(),
    "Core insert": lambda library, book: CORE.insert().values(
        id=uuid4(), tenant_id=library.theirs, shelf_id=book.shelf_id, title="x"
    ),
    "text": lambda _, __: text("SELECT * FROM test_books"),
    "text in capitals": lambda _, __: text('SELECT * FROM "test_books"'),
    "text with a tenant in the wrong place": lambda _, __: text(
        "SELECT * FROM test_books WHERE title <> :tenant_id"
    ),
    "from_statement": lambda _, __: select(Book).from_statement(select(CORE)),
    "from_statement of text": lambda _, __: select(Book).from_statement(
        text("SELECT * FROM test_books")
    ),
    "a function over everything": lambda _, __: select(func.count(CORE.c.id)),
    "text with an OR": lambda _, __: text(
        "SELECT title FROM test_books WHERE test_books.tenant_id = :tenant_id OR 1 = 1"
    ),
    "text in another case": lambda _, __: text("SELECT title FROM Test_Books"),
    "text that copies": lambda _, __: text(
        "INSERT INTO test_shelves (id, tenant_id, name) SELECT id, :tenant_id, title FROM test_books"
    ),
    "text that moves": lambda _, __: text(
        "UPDATE test_books SET tenant_id = id WHERE test_books.tenant_id = :tenant_id"
    ),
    "Core with a filter of its own": lambda library, _: (
        select(Shelf.name, CORE.c.title)
        .join(CORE, true())
        .where(CORE.c.tenant_id == library.theirs)
    ),
    "Core beside a filter for the class": lambda library, _: select(
        Book.title, select(func.max(CORE.c.title)).scalar_subquery()
    ).where(Book.tenant_id == library.ours),
    "a hint": lambda _, __: select(Book.title).with_statement_hint("OR 1 = 1"),
    "a suffix": lambda _, __: select(Book.title).suffix_with("OR 1 = 1"),
    "an operator": lambda _, __: select(Book.title).where(
        Book.title.op("<> '' OR '' =", precedence=100)("x")
    ),
    "an insert that replaces": lambda _, book: (
        cast("Any", insert(Book)).prefix_with("OR REPLACE").values(id=book.id)
    ),
    "another tenant after a query": lambda library, _: (
        update(Book).values(tenant_id=library.theirs).where(Book.id.in_(select(CTE.c.id)))
    ),
    "a fragment of text": lambda _, __: select(Book).where(text("1 = 1 OR 2 = 2")),
    "a fragment with a query": lambda _, __: cast("Any", select)(
        Shelf.name, literal_column("(SELECT min(title) FROM test_books)")
    ),
    "a fragment with a comment": lambda _, __: select(Book).order_by(text("title --")),
    "an insert of values": lambda library, book: insert(Book).values(
        id=uuid4(), tenant_id=library.theirs, shelf_id=book.shelf_id, title="x"
    ),
    "an insert of a select": lambda _, __: insert(Book).from_select(
        ["id", "shelf_id", "title"], select(Book.id, Book.shelf_id, Book.title)
    ),
    "another tenant for all": lambda library, _: update(Book).values(tenant_id=library.theirs),
    "another tenant by a column": lambda _, __: update(Book).values(
        {Book.tenant_id: Book.shelf_id}
    ),
}


async def test_what_cannot_be_narrowed_is_refused(
    library: Library, subtests: pytest.Subtests
) -> None:
    for name in REFUSED:
        with subtests.test(name):
            await assert_refused(library, name)


async def test_rows_that_could_replace_those_of_another_tenant_are_refused(
    library: Library,
) -> None:
    """An insert with a clause for rows that are there."""

    async def act(session: AsyncSession) -> None:
        own = (await session.scalars(select(Book))).first()
        assert own
        connection = await session.connection()
        dialect: Any = import_module(f"sqlalchemy.dialects.{connection.dialect.name}")
        adding = dialect.insert(Book)
        if hasattr(adding, "on_duplicate_key_update"):
            adding = adding.on_duplicate_key_update(title="x")
        else:
            adding = adding.on_conflict_do_update(index_elements=["id"], set_={"title": "x"})
        rows = [{"id": own.id, "shelf_id": own.shelf_id, "title": "x"}] * 2
        await session.execute(adding, rows)

    with pytest.raises(TenancyError, match="as objects"):
        await library.run(library.ours, act)


async def assert_refused(library: Library, name: str) -> None:
    """And nothing has changed."""
    before = await library.titles(library.ours), await library.titles(library.theirs)

    async def act(session: AsyncSession) -> None:
        own = (await session.scalars(select(Book))).first()
        assert own
        await session.execute(REFUSED[name](library, own))

    with pytest.raises(TenancyError):
        await library.read(act)
    with pytest.raises(TenancyError):
        await library.run(library.ours, act)
    assert (await library.titles(library.ours), await library.titles(library.theirs)) == before


async def test_without_a_tenant_nothing_is_answered(
    library: Library, subtests: pytest.Subtests
) -> None:
    for question in QUESTIONS:
        with subtests.test(question):
            await assert_closed(library, question)


async def assert_closed(library: Library, question: str) -> None:
    """No tenant is at hand."""

    async def act(session: AsyncSession) -> None:
        statement = QUESTIONS[question][0]
        if question == "text with the tenant":
            statement = cast("Any", statement).bindparams(tenant_id=library.ours.hex)
        await session.execute(statement)

    with pytest.raises(TenancyError, match="belongs to tenants"):
        await library.run(None, act)


async def test_a_connection_of_the_session_is_no_way_around(library: Library) -> None:
    async def driver(session: AsyncSession) -> None:
        await (await session.connection()).exec_driver_sql("SELECT * FROM test_books")

    async def core(session: AsyncSession) -> None:
        await (await session.connection()).execute(select(cast("Table", Book.__table__)))

    async def records(session: AsyncSession) -> None:
        await (await session.connection()).exec_driver_sql("SELECT * FROM audit_events")

    def mappings(session: Session) -> None:
        session.bulk_insert_mappings(
            inspect(Book), [{"id": uuid4(), "tenant_id": library.theirs, "title": "x"}]
        )

    def objects(session: Session) -> None:
        session.bulk_save_objects([Shelf(name="x", tenant_id=library.theirs)])

    async def bulk_mappings(session: AsyncSession) -> None:
        await session.run_sync(mappings)

    async def bulk_objects(session: AsyncSession) -> None:
        await session.run_sync(objects)

    for act in (driver, core, records, bulk_mappings, bulk_objects):
        with pytest.raises(TenancyError):
            await library.run(library.ours, act)
    async with library.database.writer() as session:
        with pytest.raises(TenancyError):
            await (await session.connection()).exec_driver_sql("SELECT * FROM test_books")


async def test_changes_reach_the_rows_of_one_tenant(library: Library) -> None:
    async def change(session: AsyncSession) -> None:
        await session.execute(update(Book).values(title=Book.title + "!"))
        worn = select(Book.id).where(Book.title.contains("first"))
        await session.execute(delete(Book).where(Book.id.in_(worn)))
        await session.execute(
            update(Shelf).values(name="empty").execution_options(synchronize_session=False)
        )

    await library.run(library.ours, change)

    assert await library.titles(library.ours) == ["our second!"]
    assert await library.titles(library.theirs) == ["their first", "their second"]


async def test_rows_are_stamped_however_they_are_added(library: Library) -> None:
    async def add(session: AsyncSession) -> list[UUID]:
        shelf = Shelf(name="new")
        session.add(shelf)
        await session.flush()
        await session.execute(
            insert(Book), [{"shelf_id": shelf.id, "title": f"bulk {n}"} for n in range(3)]
        )
        await session.execute(insert(Book), {"shelf_id": shelf.id, "title": "single"})
        return list(await session.scalars(select(Book.tenant_id).where(Book.shelf_id == shelf.id)))

    assert await library.run(library.ours, add) == [library.ours] * 4


def other_rows(library: Library, book: Book) -> list[tuple[Act, str]]:
    async def added(session: AsyncSession) -> None:
        session.add(Shelf(name="x", tenant_id=library.theirs))
        await session.flush()

    async def bulk(session: AsyncSession) -> None:
        row: dict[str, object] = {"shelf_id": book.shelf_id, "title": "x"}
        await session.execute(insert(Book), [row | {"tenant_id": library.theirs}])

    async def moved(session: AsyncSession) -> None:
        own = (await session.scalars(select(Book))).first()
        assert own
        own.tenant_id = library.theirs
        await session.flush()

    async def by_key(session: AsyncSession) -> None:
        await session.execute(update(Book), [{"id": book.id, "title": "stolen"}])

    async def attached(session: AsyncSession) -> None:
        session.add(book)

    async def deleted(session: AsyncSession) -> None:
        await session.delete(book)

    return [
        (added, "this Shelf belongs to another tenant"),
        (bulk, "a row of another tenant cannot be added here"),
        (moved, "no row moves from one tenant to another"),
        (by_key, "test_books stands in a place without its tenant"),
        (attached, "read this Book again, in this session"),
        (deleted, "read this Book again, in this session"),
    ]


async def test_no_row_of_another_tenant_is_written(library: Library) -> None:
    async def theirs(session: AsyncSession) -> Book:
        return (await session.scalars(select(Book))).first()  # pyright: ignore[reportReturnType]

    book: Book = await library.run(library.theirs, theirs)
    for act, reason in other_rows(library, book):
        with pytest.raises(TenancyError, match=f"^{reason}"):
            await library.run(library.ours, act)
            pytest.fail(reason)

    assert await library.titles(library.theirs) == ["their first", "their second"]
    assert await library.titles(library.ours) == ALL


async def test_no_reference_leads_to_another_tenant(library: Library) -> None:
    async def shelf_of(session: AsyncSession) -> UUID:
        return (await session.scalars(select(Shelf.id))).one()

    foreign: UUID = await library.run(library.theirs, shelf_of)

    async def refer(session: AsyncSession) -> None:
        session.add(Book(title="stray", shelf_id=foreign))
        await session.flush()

    async def point(session: AsyncSession) -> None:
        await session.execute(update(Book).values(shelf_id=foreign))

    for act in (refer, point):
        with pytest.raises(DeletedMeanwhile) as refused:
            await library.run(library.ours, act)
        assert str(refused.value) == "A resource that this request refers to no longer exists."
        assert isinstance(refused.value.__cause__, IntegrityError)


async def test_names_are_unique_within_a_tenant(library: Library) -> None:
    async def again(session: AsyncSession) -> None:
        session.add(Shelf(name="shelf"))
        await session.flush()

    with pytest.raises(IntegrityError):
        await library.run(library.ours, again)


async def test_a_session_keeps_its_tenant(library: Library) -> None:
    async def act(session: AsyncSession) -> list[str]:
        with within(library.theirs):
            return sorted(await session.scalars(select(Book.title)))

    assert await library.run(library.ours, act) == ALL


async def test_a_savepoint_that_is_rolled_back_changes_nothing_of_that(library: Library) -> None:
    async def act(session: AsyncSession) -> list[str]:
        with pytest.raises(ZeroDivisionError):
            async with session.begin_nested():
                await session.execute(update(Book).values(title="x"))
                raise ZeroDivisionError
        return sorted(await session.scalars(select(Book.title)))

    assert await library.run(library.ours, act) == ALL


async def test_every_tenant_can_be_looked_at_on_record(app: FastAPI, library: Library) -> None:
    with pytest.raises(ValueError, match="say why"):
        async with all_tenants(library.database, reason=" "):
            pass
    async with all_tenants(library.database, reason="count books") as session:
        assert await session.scalar(select(func.count()).select_from(Book)) == 4
        core = cast("Table", Book.__table__)
        assert len((await session.execute(select(core))).all()) == 4
        await session.execute(update(Book).values(title="same"))
        with pytest.raises(TenancyError, match="say which tenant"):
            async with session.begin_nested():
                session.add(Shelf(name="whose?"))
                await session.flush()

    assert await library.titles(library.theirs) == ["same", "same"]
    async with reading(library.database) as session:
        crossed = select(AuditEvent.after).where(AuditEvent.action == "tenants.crossed")
        assert (await session.scalars(crossed)).all() == [{"reason": "count books"}]


async def test_records_carry_the_tenant_and_are_seen_within_it(library: Library) -> None:
    async def note(session: AsyncSession) -> None:
        record(session, "test.noted", "test", None)

    async def seen(session: AsyncSession) -> list[UUID | None]:
        noted = select(AuditEvent.tenant_id).where(AuditEvent.action == "test.noted")
        return sorted(await session.scalars(noted), key=str)

    for tenant in (library.ours, library.theirs, None):
        await library.run(tenant, note)

    assert await library.run(library.ours, seen) == [library.ours]
    assert await library.run(library.theirs, seen) == [library.theirs]
    assert set(await library.run(None, seen)) == {library.ours, library.theirs, None}


seen: list[tuple[UUID | None, list[str]]] = []


@job("test.read", unique_for=timedelta(hours=1))
async def read_books(work: Work, *, text: str) -> None:
    record(work.session, "test.read", "test", None)
    titles = sorted(await work.session.scalars(select(Book.title)))
    seen.append((current(), titles))


@job("test.once", unique_for=timedelta(hours=1))
async def once(work: Work) -> None:
    """It does not matter what."""


async def test_a_unique_job_is_there_once_for_each_tenant(library: Library) -> None:
    async def ask_twice(session: AsyncSession) -> set[UUID | None]:
        found = {await enqueue(session, once)}
        with within(None):  # a session keeps its tenant
            return found | {await enqueue(session, once)}

    ours = await library.run(library.ours, ask_twice)
    theirs = await library.run(library.theirs, ask_twice)

    assert (len(ours), len(theirs), len(ours | theirs)) == (1, 1, 2)


async def test_a_job_works_for_the_tenant_that_asked(library: Library, settings: Settings) -> None:
    """And the same job of another tenant is another job."""
    seen.clear()
    jobs = {read_books.name: read_books}

    async def ask(session: AsyncSession) -> UUID | None:
        return await enqueue(session, read_books, text="a")

    async def jobs_of(session: AsyncSession) -> list[UUID]:
        return list(await session.scalars(select(JobRun.id).where(JobRun.name == "test.read")))

    async def noted(session: AsyncSession) -> list[UUID | None]:
        events = select(AuditEvent.tenant_id).where(AuditEvent.action == "test.read")
        return list(await session.scalars(events))

    asked = [await library.run(tenant, ask) for tenant in (library.ours, library.theirs)]
    assert await library.run(library.ours, ask) == asked[0]
    assert asked[0] != asked[1]
    await run_due(serving(library.database, settings=settings, jobs=jobs))

    assert sorted(seen, key=str) == sorted(
        [(library.ours, ALL), (library.theirs, ["their first", "their second"])], key=str
    )
    assert await library.run(library.ours, jobs_of) == [asked[0]]
    assert await library.run(library.theirs, noted) == [library.theirs]
    assert current() is None


# The databases of this service, by the style of parameters of their drivers.
SPOKEN = {
    make_url(f"{each.driver}://").get_dialect()().paramstyle: each.driver.split("+")[0]
    for each in DIALECTS
}


def judged(statement: str, style: str) -> Verdict:
    """The verdict of the gate, unless this service speaks to no such database."""
    if style not in SPOKEN:
        pytest.skip("the driver of another database writes parameters like this")
    return judge(statement, SPOKEN[style], style)


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        ("SELECT a FROM test_books WHERE test_books.tenant_id = ?", []),
        ("SELECT a FROM test_books WHERE b IN (?, ?, ?) AND test_books.tenant_id = ?", []),
        ("SELECT a FROM test_books", ["test_books"]),
        ("SELECT a FROM Test_Books", ["Test_Books"]),
        ("SELECT a FROM x, test_books", ["test_books"]),
        ("SELECT a FROM test_books AS b WHERE b.tenant_id = %s", []),
        ("SELECT a FROM test_books b WHERE b.c %% 2 = %s AND b.tenant_id = %s", []),
        ("SELECT a FROM test_books AS b WHERE test_books.tenant_id = %s", ["test_books"]),
        ("SELECT test_books.a FROM x, test_books WHERE x.tenant_id = $1::UUID", ["test_books"]),
        ('SELECT a FROM "test_books" WHERE "test_books".tenant_id = $1::UUID', []),
        ("UPDATE test_books SET a=? WHERE test_books.id = ?", ["test_books"]),
        ("UPDATE test_books SET a=? WHERE test_books.tenant_id = ?", []),
        ("SELECT test_books.a FROM public.test_books", ["test_books"]),
        ("SELECT a FROM x JOIN (test_books) ON 1", ["test_books"]),
        ("SELECT a AS test_books FROM x ORDER BY test_books", []),
        ("UPDATE x SET test_books=? WHERE x.id = ?", []),
        (
            "SELECT a FROM test_books WHERE test_books.tenant_id = ? AND id IN"
            " (SELECT test_books.id FROM test_books WHERE test_books.id = ?)",
            ["test_books"],
        ),
    ],
)
def test_the_gate_finds_the_places_without_a_condition(statement: str, tables: list[str]) -> None:
    styles = {"$": "numeric_dollar", "%": "format"}
    verdict = judged(statement, styles.get("".join(set(statement) & set("$%")), "qmark"))

    assert not verdict.fault
    assert [table for table, positions in verdict.places if not positions] == tables


def test_the_gate_tells_parameters_apart() -> None:
    """Also when lists are long, and strings look like parameters."""
    listed = (
        "SELECT a FROM test_books WHERE b IN ($1::UUID, $2::UUID) AND test_books.tenant_id = $3"
    )
    quoted = 'SELECT \'?\' FROM "test_books" WHERE a = ? AND "test_books".tenant_id = ?'
    doubled = "SELECT a %% 2 FROM test_books WHERE b = %s AND test_books.tenant_id = %s"

    for style, statement, place in (
        ("numeric_dollar", listed, 2),
        ("qmark", quoted, 1),
        ("format", doubled, 1),
    ):
        if style in SPOKEN:
            assert list(judged(statement, style).places) == [("test_books", [place])]


async def by_text(session: AsyncSession, statement: str, tenant: UUID) -> object:
    return (await session.execute(text(statement))).all()


async def by_stream(session: AsyncSession, statement: str, tenant: UUID) -> object:
    options = {"yield_per": 1}
    return [row async for row in await session.stream(text(statement), execution_options=options)]


async def by_connection(session: AsyncSession, statement: str, tenant: UUID) -> object:
    own = text(statement)
    if ":tenant_id" in statement:
        own = own.bindparams(bindparam("tenant_id", tenant, type_=Uuid()))
    return (await (await session.connection()).execute(own)).all()


WAYS = [by_text, by_stream, by_connection]


async def answer(library: Library, tenant: UUID | None, statement: str, way: Way) -> object:
    """What a session of `tenant` gets; its changes are rolled back."""

    async def act(session: AsyncSession) -> object:
        try:
            return await way(session, statement, library.ours)
        finally:
            await session.rollback()

    return await library.run(tenant, act)


async def test_texts_that_say_the_tenant_are_answered(
    library: Library, subtests: pytest.Subtests
) -> None:
    here = library.database.info[ENGINE].dialect.paramstyle
    for name, construct in constructs.ANSWERED.items():
        statement, databases = construct if isinstance(construct, tuple) else (construct, {here})
        for way in WAYS if here in databases else []:
            with subtests.test(name, way=way.__name__):
                told = str(await answer(library, library.ours, statement, way))
                assert "our" in told
                assert "their" not in told
                with pytest.raises(TenancyError, match="belongs to tenants"):
                    await answer(library, None, statement, by_connection)


async def test_texts_that_reach_beyond_the_tenant_are_refused(
    library: Library, subtests: pytest.Subtests
) -> None:
    before = await library.titles(library.ours), await library.titles(library.theirs)
    for name, statement in constructs.REFUSED.items():
        for way in WAYS:
            with subtests.test(name, way=way.__name__), pytest.raises(TenancyError):
                await answer(library, library.ours, statement, way)
        if "test_" in statement.lower():
            with subtests.test(name, tenant=None), pytest.raises(TenancyError):
                await answer(library, None, statement, by_connection)
    assert (await library.titles(library.ours), await library.titles(library.theirs)) == before


async def test_a_parameter_with_another_tenant_is_refused(library: Library) -> None:
    """However it is given, and in whichever of several executions."""
    books = text(constructs.BOOKS)
    change = text("UPDATE test_books SET title = 'x' WHERE test_books.tenant_id = :tenant_id")
    own = bindparam("tenant_id", type_=Uuid())
    ours, theirs = ({"tenant_id": tenant} for tenant in (library.ours, library.theirs))

    async def given(session: AsyncSession) -> None:
        await session.execute(books, theirs)

    async def bound(session: AsyncSession) -> None:
        await (await session.connection()).execute(books.bindparams(own), theirs)

    async def core(session: AsyncSession) -> None:
        await session.execute(select(CORE).where(CORE.c.tenant_id == library.theirs))

    async def among_many(session: AsyncSession) -> None:
        await (await session.connection()).execute(change.bindparams(own), [ours, theirs])

    for act in (given, bound, core, among_many):
        with pytest.raises(TenancyError, match="stands in a place without its tenant"):
            await library.run(library.ours, act)
            pytest.fail(act.__name__)
    assert await library.titles(library.theirs) == ["their first", "their second"]


async def test_what_is_vouched_for_hides_no_query(library: Library) -> None:
    foreign = select(func.max(CORE.c.title)).where(CORE.c.tenant_id == library.theirs)

    async def flushed(session: AsyncSession) -> None:
        own = (await session.scalars(select(Book))).first()
        assert own
        cast("Any", own).title = foreign.scalar_subquery()
        await session.flush()

    async def returned(session: AsyncSession) -> None:
        row = {"id": uuid4(), "name": "x"}
        await session.execute(insert(Shelf).returning(foreign.scalar_subquery()), [row])

    for act in (flushed, returned):
        with pytest.raises(TenancyError):
            await library.run(library.ours, act)
            pytest.fail(act.__name__)


BUILT = select(Book.id, Book.title).order_by(Book.title).limit(bindparam("limit", type_=Integer()))
JOINED = select(Book.title, Shelf.name).join(Shelf, Shelf.id == Book.shelf_id).order_by(Book.title)


@pytest.mark.parametrize("watched", [False, True])
async def test_a_statement_that_is_built_once_reads_one_tenant(
    library: Library, engine: AsyncEngine, watched: bool
) -> None:
    """On one connection after the other, and where a tracer has SQLAlchemy execute it."""
    if watched:
        event.listen(engine.sync_engine, "before_cursor_execute", ignored)
    try:
        for tenant, word in [(library.ours, "our"), (library.theirs, "their")] * 2:
            with within(tenant):
                rows = await library.database.rows(BUILT, {"limit": 9})
                assert [row.title for row in rows] == [f"{word} first", f"{word} second"]
                joined = await library.database.rows(JOINED, {})
                assert [tuple(row) for row in joined] == [(row.title, "shelf") for row in rows]
            with pytest.raises(TenancyError, match="belongs to tenants"):
                await library.database.rows(BUILT, {"limit": 9})
            with within(uuid4()):
                assert await library.database.rows(BUILT, {"limit": 9}) == []
    finally:
        if watched:
            event.remove(engine.sync_engine, "before_cursor_execute", ignored)


def ignored(*_: object) -> None:
    """A listener to statements."""


async def test_a_statement_that_is_built_once_cannot_say_which_tenant(library: Library) -> None:
    """The tenant is the current one, whatever a caller passes, and no table is read without it."""
    foreign = select(CORE.c.title).where(CORE.c.tenant_id == bindparam("other", type_=Uuid()))
    unfiltered = select(CORE.c.title).join(Shelf, Shelf.id == CORE.c.shelf_id)
    with within(library.ours):
        rows = await library.database.rows(BUILT, {"limit": 9, "tenant_id": library.theirs})
        assert [row.title for row in rows] == ALL
        for statement in (foreign, unfiltered, select(CORE.c.title)):
            with pytest.raises(TenancyError):
                await library.database.rows(statement, {"other": library.theirs})
    with within(AllTenants("a test")), pytest.raises(TenancyError, match="in a session"):
        await library.database.rows(BUILT, {"limit": 9})
    assert await library.titles(library.ours) == ALL, "the connections can still be used"


def test_a_generated_migration_gives_existing_rows_to_the_first_tenant() -> None:
    columns: list[Column[Any]] = [
        Column("note", Uuid()),
        Column("tenant_id", Uuid(), nullable=False),
    ]
    added = [ops.AddColumnOp("order", column) for column in columns]
    found = ops.UpgradeOps([ops.DropTableOp("old"), ops.ModifyTableOps("order", added)])

    adoption.fill(MigrationContext.configure(dialect_name="sqlite"), found)

    lines = [line.strip() for line in render_python_code(found).splitlines()]
    first = "SELECT id FROM tenants ORDER BY created_at, id LIMIT 1"
    assert [line for line in lines if not line.startswith("#")] == [
        "op.drop_table('old')",
        "op.add_column('order', sa.Column('tenant_id', sa.Uuid(), nullable=True))",
        f"op.execute('UPDATE \"order\" SET tenant_id = ({first})')",  # noqa: S608, as it is written there
        "op.alter_column('order', 'tenant_id',",
        "existing_type=sa.Uuid(),",
        "nullable=False)",
        "op.add_column('order', sa.Column('note', sa.Uuid(), nullable=True))",
    ]


def leads_with_tenant(columns: list[str]) -> bool:
    return columns[0] == "tenant_id"


def test_every_table_is_a_tenants_or_global_for_a_reason() -> None:
    tables = Base.metadata.tables
    declared = {model.__tablename__ for feature in FEATURES for model in feature.models}

    assert (OWNED | TAGGED) & declared == {
        name for name, table in tables.items() if "tenant_id" in table.columns
    }
    assert set(GLOBAL) == {name for name in tables if name not in OWNED | TAGGED}


@pytest.mark.parametrize("name", sorted(OWNED))
def test_the_keys_of_a_tenants_table_name_the_tenant(name: str) -> None:
    table = {**Base.metadata.tables, **Shelves.metadata.tables}[name]
    found: list[list[str]] = []
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            found.append(list(constraint.columns.keys()))
        if isinstance(constraint, ForeignKeyConstraint):
            referred = constraint.referred_table
            if referred.name in OWNED:
                found.append([element.parent.name for element in constraint.elements])
                assert next(e.column.name for e in constraint.elements) == "tenant_id"
    found += [list(key.columns.keys()) for key in table.indexes]

    assert not table.columns["tenant_id"].nullable
    assert ["tenant_id", "id"] in found
    assert all(leads_with_tenant(columns) for columns in found), found


@pytest.mark.parametrize("name", sorted(TAGGED))
def test_the_service_finds_the_records_of_a_tenant_by_an_index(name: str) -> None:
    keys: list[Index] = list(Base.metadata.tables[name].indexes)

    assert ["tenant_id", "created_at", "id"] in [list(key.columns.keys()) for key in keys]
