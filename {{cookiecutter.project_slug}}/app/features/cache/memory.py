"""Results that this process keeps: those of which the last use was longest ago make room for others."""

from collections import OrderedDict
from time import monotonic


class Memory:
    """At most so many entries, each for so long. It has the methods of Redis that the store uses."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.entries = OrderedDict[str, tuple[float, object]]()
        """When each expires, and its value; the last used comes last."""

    async def get(self, key: str) -> object:
        """The value, if there is one that has not expired."""
        if (found := self.entries.get(key)) is None:
            return None
        if found[0] <= monotonic():
            del self.entries[key]
            return None
        self.entries.move_to_end(key)
        return found[1]

    async def get_many(self, *keys: str) -> tuple[object, ...]:
        """The values in this order."""
        return tuple([await self.get(key) for key in keys])

    async def set(self, key: str, value: object, expire: float, exist: bool | None = None) -> bool:
        """Keep a value for so many seconds; only if there is one, or none, if `exist` says so."""
        if exist is not None and (await self.get(key) is not None) is not exist:
            return False
        self.entries[key] = monotonic() + expire, value
        self.entries.move_to_end(key)
        if len(self.entries) > self.most:
            self.entries.popitem(last=False)
        return True

    async def delete_many(self, *keys: str) -> None:
        """Forget these."""
        for key in keys:
            self.entries.pop(key, None)

    async def set_lock(self, key: str, value: object, expire: float) -> bool:
        """Take a lock, for at most so many seconds, unless another has it."""
        return await self.set(key, value, expire, exist=False)

    async def unlock(self, key: str, value: object) -> bool:
        """Release the lock, if it is still this one's."""
        if await self.get(key) != value:
            return False
        await self.delete_many(key)
        return True
