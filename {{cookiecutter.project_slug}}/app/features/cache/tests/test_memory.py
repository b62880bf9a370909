"""Results that this process keeps."""

import pytest

from app.features.cache import memory as module
from app.features.cache.memory import Memory


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which the test sets."""
    clock = [0.0]
    monkeypatch.setattr(module, "monotonic", lambda: clock[0])
    return clock


async def test_what_was_used_longest_ago_makes_room() -> None:
    memory = Memory(2)
    for key in "ab":
        await memory.set(key, key, 60)
    await memory.get("a")
    await memory.set("c", "c", 60)

    assert await memory.get_many("a", "b", "c") == ("a", None, "c")


async def test_entries_expire(now: list[float]) -> None:
    memory = Memory(2)
    await memory.set("a", 1, 60)
    now[0] = 59
    assert await memory.get("a") == 1
    now[0] = 60

    assert await memory.get("a") is None
    assert not memory.entries


async def test_a_value_is_set_only_if_there_is_one_or_none() -> None:
    memory = Memory(2)

    assert not await memory.set("a", 1, 60, exist=True)
    assert await memory.set("a", 1, 60, exist=False)
    assert not await memory.set("a", 2, 60, exist=False)
    assert await memory.set("a", 3, 60, exist=True)
    assert await memory.get("a") == 3
    await memory.delete_many("a", "b")
    assert not memory.entries


async def test_a_lock_has_one_holder_until_it_expires(now: list[float]) -> None:
    memory = Memory(2)

    assert await memory.set_lock("lock", "ada", 10)
    assert not await memory.set_lock("lock", "bob", 10)
    assert not await memory.unlock("lock", "bob")
    now[0] = 10
    assert await memory.set_lock("lock", "bob", 10)
    assert not await memory.unlock("lock", "ada")
    assert await memory.unlock("lock", "bob")
