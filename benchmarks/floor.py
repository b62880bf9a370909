"""The floor: a FastAPI program with SQLAlchemy's ORM, asyncpg or asyncmy, and JWT, and nothing else.

What a generated service does is compared with it. Settings: FLOOR_URL and FLOOR_SECRET.
"""

import os
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from fastapi import Depends, FastAPI, HTTPException
from fastapi.concurrency import run_in_threadpool
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from pydantic import BaseModel, ConfigDict
from sqlalchemy import DateTime, ForeignKey, Index, String, func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

EMAIL, PASSWORD = "admin@example.com", os.environ["ADMIN_PASSWORD"]
SECRET = os.environ["FLOOR_SECRET"]
engine = create_async_engine(os.environ["FLOOR_URL"], pool_size=15, max_overflow=0)
new_session = async_sessionmaker(engine, expire_on_commit=False)
hasher = PasswordHasher()
bearer = OAuth2PasswordBearer(tokenUrl="/login")


class Base(DeclarativeBase):
    """All tables."""


class User(Base):
    """An account."""

    __tablename__ = "accounts"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    password_hash: Mapped[str] = mapped_column(String(200))
    is_active: Mapped[bool] = mapped_column(default=True)


class Item(Base):
    """A row that is listed and created."""

    __tablename__ = "items"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    sku: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    price: Mapped[int]
    owner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("accounts.id"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012, SQLAlchemy's


Index("ix_items_owner_created", Item.owner_id, Item.created_at.desc())


class Out(BaseModel):
    """A response, read from a row."""

    model_config = ConfigDict(from_attributes=True)


class UserOut(Out):
    """An account."""

    id: uuid.UUID
    email: str
    is_active: bool


class ItemIn(BaseModel):
    """A row to create."""

    sku: str
    name: str
    price: int


class ItemOut(Out):
    """A row."""

    id: uuid.UUID
    sku: str
    name: str
    price: int
    owner_id: uuid.UUID
    created_at: datetime


async def session() -> AsyncGenerator[AsyncSession]:
    """A session for each request."""
    async with new_session() as opened:
        yield opened


async def subject(token: Annotated[str, Depends(bearer)]) -> uuid.UUID:
    """Who the token is for."""
    try:
        return uuid.UUID(jwt.decode(token, SECRET, algorithms=["HS256"])["sub"])
    except (jwt.PyJWTError, KeyError, ValueError) as error:
        raise HTTPException(401) from error


Db = Annotated[AsyncSession, Depends(session)]
Subject = Annotated[uuid.UUID, Depends(subject)]


async def current_user(db: Db, user_id: Subject) -> User:
    """The caller's account."""
    user = await db.get(User, user_id)
    if user is None or not user.is_active:
        raise HTTPException(401)
    return user


CurrentUser = Annotated[User, Depends(current_user)]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Create the tables and the account."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with new_session() as db:
        if await db.scalar(select(User)) is None:
            db.add(User(email=EMAIL, password_hash=hasher.hash(PASSWORD)))
            await db.commit()
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.get("/health")
async def health() -> dict[str, str]:
    """The cheapest endpoint."""
    return {"status": "ok"}


@app.post("/login")
async def login(db: Db, form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> dict[str, str]:
    """Sign in."""
    user = await db.scalar(select(User).where(User.email == form.username))
    await db.close()  # hold no connection while hashing
    if user is None:
        raise HTTPException(401)
    try:
        await run_in_threadpool(hasher.verify, user.password_hash, form.password)
    except VerifyMismatchError:
        raise HTTPException(401) from None
    claims = {"sub": str(user.id), "exp": datetime.now(UTC) + timedelta(hours=1)}
    return {"access_token": jwt.encode(claims, SECRET, algorithm="HS256")}


@app.get("/me", response_model=UserOut)
async def me(user: CurrentUser) -> User:
    """The caller's account."""
    return user


@app.get("/items", response_model=list[ItemOut])
async def items(db: Db, owner_id: Subject, limit: int = 20) -> Sequence[Item]:
    """A page, without reading the account."""
    newest = select(Item).where(Item.owner_id == owner_id).order_by(Item.created_at.desc())
    return (await db.scalars(newest.limit(limit))).all()


@app.post("/items", status_code=201, response_model=ItemOut)
async def create(db: Db, user: CurrentUser, new: ItemIn) -> Item:
    """Create a row."""
    item = Item(**new.model_dump(), owner_id=user.id)
    db.add(item)
    await db.commit()
    return item
