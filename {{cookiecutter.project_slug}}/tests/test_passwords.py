"""Hashing is slow, and takes as many cores as there are."""

import asyncio
import os
import threading

import pytest

from app.core.security import passwords


async def test_as_many_passwords_are_hashed_at_once_as_there_are_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cores = os.cpu_count() or 1
    begun, go_on = threading.Semaphore(0), threading.Event()
    at_once = most = 0

    def hash_slowly(password: str) -> str:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        begun.release()
        assert go_on.wait(10)
        at_once -= 1
        return password

    monkeypatch.setattr(passwords.context, "hash", hash_slowly)
    hashing = [asyncio.create_task(passwords.hash_password("x")) for _ in range(cores + 2)]
    for _ in range(cores):
        assert await asyncio.to_thread(begun.acquire, timeout=10)
    go_on.set()
    await asyncio.gather(*hashing)

    assert most == cores
