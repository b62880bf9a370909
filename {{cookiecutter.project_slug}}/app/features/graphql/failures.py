"""Failures of GraphQL requests."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import pydantic
from strawberry.utils.str_converters import to_camel_case

from app.core.errors import (
    Failure,
    Forbidden,
    NotFound,
    Unavailable,
    Unprocessable,
    validation_members,
)


class UnsupportedMediaType(Failure):
    """The body is not JSON; any web page could send a form, but JSON only if CORS allows it."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE

    def __init__(self) -> None:
        super().__init__("Send the request as application/json.")


class InvalidRequest(Failure):
    """The body is not a GraphQL request."""

    def __init__(self) -> None:
        super().__init__(
            'Send an object such as {"query": "{ me { email } }"}, with `variables` and'
            " `operationName` if needed. Batches are not supported."
        )


class ValidationError(Unprocessable):
    """An argument breaks a rule; in REST, the same is a problem of the same type."""

    def __init__(self, error: pydantic.ValidationError) -> None:
        found: list[Mapping[str, Any]] = [
            {**each, "loc": ("arguments", *(named(step) for step in each["loc"]))}
            for each in error.errors()
        ]
        members = validation_members(found)
        del members["kind"]
        super().__init__("The arguments do not match the schema.", **members)


def named(step: int | str) -> int | str:
    """A step of a path, by the names of the schema."""
    return to_camel_case(step) if isinstance(step, str) else step


class InvalidQuery(Failure):
    """The query has a syntax error, or does not match the schema."""


class QueryTooLarge(Failure):
    """The query exceeds a limit, and was not executed."""


class QueryTooSlow(Unavailable):
    """The query took longer than the time limit, and was stopped."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The query took longer than {seconds:g} seconds. Ask for less at once.")


class OneAttempt(Forbidden):
    """The request presents several passwords or tokens, which would evade the limits on attempts."""

    def __init__(self) -> None:
        super().__init__("A request can present only one password or refresh token.")


class InvalidId(Unprocessable):
    """The id is malformed, or belongs to another type."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"This is not the id of a {kind}.")


class NodeNotFound(NotFound):
    """No node has this id."""

    def __init__(self) -> None:
        super().__init__("There is no such node.")


class OneList(Unprocessable):
    """A cursor is a position in one list, but the lists of several parents were requested."""

    def __init__(self) -> None:
        super().__init__("Continue one list at a time: select one parent by its id.")


class InvalidPage(Unprocessable):
    """The arguments contradict each other, or ask for too much or nothing."""

    def __init__(self) -> None:
        super().__init__(
            "Give `first`, with or without `after`, or `last`, with or without `before`;"
            " at least 1 and at most 100."
        )
