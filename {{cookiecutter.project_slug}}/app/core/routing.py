"""Routers, as every feature makes them."""

from fastapi import APIRouter

API_PREFIX = "/api/v1"


def router(path: str, *, tag: str, prefix: str = API_PREFIX) -> APIRouter:
    """A router for `path` under the API's prefix, shown under `tag` in the documentation."""
    return APIRouter(prefix=prefix + path, tags=[tag])
