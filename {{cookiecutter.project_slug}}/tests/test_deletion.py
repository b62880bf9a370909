"""Deleted rows are hidden from every kind of question, are in nothing's way, and can be restored."""

from collections.abc import Iterator

import pytest
from sqlalchemy import ForeignKey, UniqueConstraint, create_engine, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    aliased,
    joinedload,
    lazyload,
    mapped_column,
    relationship,
    selectinload,
)
from sqlalchemy.orm.interfaces import ORMOption

from app.core.db.deletion import WITH_DELETED, Restorable, visible


class Base(DeclarativeBase):
    """Tables of these tests."""


class Shelf(Base):
    """Has books."""

    __tablename__ = "shelves"
    id: Mapped[int] = mapped_column(primary_key=True)
    books: Mapped[list["Book"]] = relationship(order_by="Book.id")


class Book(Restorable, Base):
    """Can be deleted and restored."""

    __tablename__ = "books"
    __table_args__ = (UniqueConstraint("title", "live", name="uq_books_title"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    shelf_id: Mapped[int] = mapped_column(ForeignKey("shelves.id"))


@pytest.fixture
def session() -> Iterator[Session]:
    """A shelf with a book, and another that was deleted."""
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Shelf(id=1))
        session.add_all(Book(id=n, title=f"Book {n}", shelf_id=1) for n in (1, 2))
        session.flush()
        session.get_one(Book, 2).delete()
        session.commit()
        yield session
    engine.dispose()


def test_deleted_rows_are_hidden_from_every_kind_of_question(session: Session) -> None:
    other = aliased(Book)
    joined = select(Book.id, other.id).join(other, other.shelf_id == Book.shelf_id)

    assert [book.id for book in session.scalars(select(Book))] == [1]
    assert session.scalars(select(Book.title)).all() == ["Book 1"]
    assert session.scalar(select(func.count()).select_from(Book)) == 1
    assert session.scalar(select(func.count()).select_from(select(Book).subquery())) == 1
    assert session.execute(joined).all() == [(1, 1)]
    assert session.get(Book, 2) is None
    assert session.scalar(select(Shelf.id).where(Shelf.books.any(Book.id == 2))) is None


@pytest.mark.parametrize(
    "load", [joinedload(Shelf.books), selectinload(Shelf.books), lazyload(Shelf.books)]
)
def test_deleted_rows_are_hidden_in_relationships(session: Session, load: ORMOption) -> None:
    shelf = session.scalars(select(Shelf).options(load)).unique().one()

    assert [book.id for book in shelf.books] == [1]


def test_statements_change_no_deleted_rows(session: Session) -> None:
    session.execute(update(Book).values(title="Renamed"))
    session.execute(delete(Book))
    session.commit()

    left = session.scalars(select(Book), execution_options=WITH_DELETED).all()
    assert [(book.id, book.title) for book in left] == [(2, "Book 2")]


def test_a_deleted_row_is_in_no_way_of_another_until_it_is_restored(session: Session) -> None:
    session.add(Book(id=3, title="Book 2", shelf_id=1))
    session.commit()
    old = session.scalars(select(Book).where(Book.id == 2), execution_options=WITH_DELETED).one()

    old.restore()
    with pytest.raises(IntegrityError):
        session.flush()
    session.rollback()
    session.get_one(Book, 3).delete()
    session.flush()
    old.restore()
    session.flush()
    assert session.scalars(select(Book.id).order_by(Book.id)).all() == [1, 2]


def test_prebuilt_statements_say_what_is_visible() -> None:
    assert [str(each) for each in visible(Book)] == ["books.deleted_at IS NULL"]
    assert visible(Shelf) == []
