"""Compressed responses, for clients that accept them."""

import asyncio
import gzip
import re
from collections.abc import Mapping

from starlette.types import Message, Scope

from app.core.routing import is_confidential

LEVEL = 5
AT_ONCE = 65_536
"""The size in bytes from which compressing would stop other requests for a noticeable time."""
TEXT = re.compile(rb"text/|application/(?:[a-z.-]+\+)?json")
GZIP = re.compile(rb"(?:^|,)[ \t]*gzip[ \t]*(?:;[ \t]*q=([0-9.]+)[ \t]*)?(?=,|$)", re.IGNORECASE)


def is_compressible(scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
    """Whether this response is a text that the client takes compressed.

    One that carries secrets is not compressed: beside a text that an attacker chose, its size would tell them (BREACH). Nor is one
    with an entity tag, which names exactly these bytes.
    """
    return (
        TEXT.match(headers.get(b"content-type", b"")) is not None
        and b"content-encoding" not in headers
        and b"etag" not in headers
        and not is_confidential(scope)
        and accepts(
            b",".join(value for name, value in scope["headers"] if name == b"accept-encoding")
        )
    )


def accepts(encodings: bytes) -> bool:
    """Whether gzip is among these (RFC 9110, section 12.5.3)."""
    found = GZIP.search(encodings)
    return bool(found) and (found[1] or b"1").strip(b"0.") != b""


async def compressed(method: str, start: Message, body: bytes) -> tuple[Message, bytes]:
    """The response with its body compressed; that to HEAD does not say how large it would be."""
    kept = [each for each in start["headers"] if each[0] != b"content-length"]
    added = [(b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
    if method != "HEAD":
        body = await asyncio.to_thread(shrink, body) if len(body) > AT_ONCE else shrink(body)
        added.append((b"content-length", str(len(body)).encode()))
    return {**start, "headers": kept + added}, body


def shrink(body: bytes) -> bytes:
    """The body compressed, the same each time."""
    return gzip.compress(body, LEVEL, mtime=0)
