"""Errors of a response, each with the members of a problem document."""

import re
from http import HTTPStatus
from typing import Any

import structlog
from graphql import GraphQLError

from app.core.errors import Failure, clipped, problem_document, problem_type

log = structlog.stdlib.get_logger(__name__)

LEAD = re.compile(r"(Variable|Argument) '[^']*' has invalid (default )?value[^:]*: ")
QUOTED = re.compile(r"(,? [Ff]ound)?: .*|, but encountered error .*", re.DOTALL)
"""The value that a message quotes: it may be a secret."""
SYNTAX = "Syntax Error: "
TOKEN = re.compile(r"\b(String|BlockString|Int|Float|Name) '.*'", re.DOTALL)
"""The same in a syntax error."""


def described(error: GraphQLError, *, refused: bool = False) -> dict[str, Any]:
    """An error as the client sees it; `refused` if it is of a request that was not executed."""
    problem = problem_of(error, refused=refused)
    told: dict[str, Any] = {"message": problem.pop("detail"), "extensions": problem}
    if error.locations:
        told["locations"] = [{"line": each.line, "column": each.column} for each in error.locations]
    if error.path:
        told["path"] = error.path
    return told


def cause_of(error: GraphQLError) -> Exception | None:
    """What was raised, unless it is an error of the query."""
    cause = error.original_error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    return cause


def problem_of(error: GraphQLError, *, refused: bool) -> dict[str, Any]:
    """The problem document of an error; unexpected ones go to the log only."""
    cause = cause_of(error)
    if isinstance(cause, Failure):
        kind = problem_type(type(cause))
        return problem_document(
            cause.status, cause.detail, kind=kind, instance=None, **cause.members
        )
    if cause is None or refused:
        return problem_document(
            HTTPStatus.BAD_REQUEST, message_of(error), kind="urn:problem-type:invalid-query"
        )
    log.error("unhandled_exception", exc_info=cause)
    return problem_document(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong on our side.")


def message_of(error: GraphQLError) -> str:
    """The message about a query, without the quoted value."""
    if error.message.startswith(SYNTAX):
        return clipped(TOKEN.sub(r"\1", error.message))
    lead = LEAD.match(error.message)
    start = lead.end() if lead else 0
    rest = QUOTED.sub("", error.message[start:])
    return clipped(f"{error.message[:start]}{rest.rstrip('.')}.".replace("?.", "?"))
