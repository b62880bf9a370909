"""Errors of a response, each with the members of a problem document."""

from http import HTTPStatus
from typing import Any

import structlog
from graphql import GraphQLError

from app.core.errors import Failure, problem_document, problem_type

log = structlog.stdlib.get_logger(__name__)


def described(error: GraphQLError) -> dict[str, Any]:
    """An error as the client sees it."""
    problem = problem_of(error)
    told: dict[str, Any] = {"message": problem.pop("detail"), "extensions": problem}
    if error.locations:
        told["locations"] = [{"line": each.line, "column": each.column} for each in error.locations]
    if error.path:
        told["path"] = error.path
    return told


def problem_of(error: GraphQLError) -> dict[str, Any]:
    """The problem document of an error; unexpected ones go to the log only."""
    cause = error.original_error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    if cause is None:
        return problem_document(
            HTTPStatus.BAD_REQUEST, error.message, kind="urn:problem-type:invalid-query"
        )
    if isinstance(cause, Failure):
        kind = problem_type(type(cause))
        return problem_document(
            cause.status, cause.detail, kind=kind, instance=None, **cause.members
        )
    log.error("unhandled_exception", exc_info=cause)
    return problem_document(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong on our side.")
