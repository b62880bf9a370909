"""Executing requests."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from time import perf_counter
from typing import Any, cast

from graphql import (
    ASTValidationRule,
    DocumentNode,
    GraphQLError,
    GraphQLSyntaxError,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    get_operation_ast,
    get_variable_values,
    parse,
    specified_rules,
    validate,
)
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import HTTPConnection

from app.core.admission import admission_of, reprice
from app.core.db.freshness import only_reads
from app.core.errors import Failure, report
from app.core.service import Service
from app.features.graphql import metrics
from app.features.graphql.context import Context
from app.features.graphql.errors import cause_of, described
from app.features.graphql.failures import InvalidQuery, QueryTooLarge, QueryTooSlow
from app.features.graphql.limits import cost, measure, require, require_few_values
from app.features.graphql.schema import core, schema
from app.features.graphql.settings import GraphQLSettings

MOST_ERRORS = 5
ABORTED = "Parsing aborted."
"""How the parser ends its message about a document that exceeds a limit."""
CACHED_LENGTH = 4_000
"""Longer queries are not remembered."""


class Request(BaseModel):
    """A GraphQL request."""

    model_config = ConfigDict(populate_by_name=True)

    query: str
    operation_name: str | None = Field(None, alias="operationName")
    variables: dict[str, Any] | None = None


class Refused(Exception):
    """The request was not executed."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__()
        self.errors = errors


def document_of(text: str, limits: GraphQLSettings, *, introspection: bool) -> DocumentNode:
    """The parsed document, within the limits and valid."""
    document = parsed(text, limits)
    rules: list[type[ASTValidationRule]] = [*specified_rules]
    if not introspection:
        rules.append(NoSchemaIntrospectionCustomRule)
    hidden = not introspection
    if errors := validate(core, document, rules, MOST_ERRORS, hide_suggestions=hidden):
        raise Refused(errors)
    return document


def parsed(text: str, limits: GraphQLSettings) -> DocumentNode:
    """The document, within the limits."""
    require(limits, "characters", len(text))
    try:
        document = parse(text, max_tokens=limits.max_tokens)
        measure(document, limits)
    except RecursionError:
        raise QueryTooLarge("The query is nested too deeply.") from None
    except GraphQLSyntaxError as error:
        if error.message.endswith(ABORTED):
            raise QueryTooLarge(error.message.removeprefix("Syntax Error: ")) from None
        raise
    return document


remembered = lru_cache(maxsize=64)(document_of)


def shows_schema(service: Service) -> bool:
    """Whether clients can read the schema."""
    wanted = service.of(GraphQLSettings).introspection
    return not service.settings.deployed if wanted is None else wanted


def prepared(
    service: Service, request: Request
) -> tuple[DocumentNode, OperationDefinitionNode, int]:
    """The document of a request, its operation that is to be executed, and what that costs."""
    limits, introspection = service.of(GraphQLSettings), shows_schema(service)
    find = remembered if len(request.query) <= CACHED_LENGTH else document_of
    document = find(request.query, limits, introspection=introspection)
    operation = get_operation_ast(document, request.operation_name)
    if operation is None:
        raise InvalidQuery("Give the name of one of the operations as `operationName`.")
    given = request.variables or {}
    require_few_values(limits, given)
    variables = coerced(operation, given, introspection=introspection)
    return document, operation, cost(core, document, operation, variables, limits)


def coerced(
    operation: OperationDefinitionNode, given: Mapping[str, Any], *, introspection: bool
) -> Mapping[str, Any]:
    """The variables with the types that the operation declares, and its defaults."""
    declared = operation.variable_definitions or ()
    hidden = not introspection
    found = get_variable_values(core, declared, dict(given), MOST_ERRORS, hide_suggestions=hidden)
    if isinstance(found, list):
        raise Refused(found)
    return found.coerced


async def execute(
    service: Service, connection: HTTPConnection, request: Request
) -> tuple[HTTPStatus, Mapping[str, Any]]:
    """The response to a request, and its status: 200 if it was executed."""
    limits = service.of(GraphQLSettings)
    started = perf_counter()
    try:
        document, operation, price = prepared(service, request)
    except (Refused, GraphQLError, InvalidQuery, QueryTooLarge) as error:
        return refusal(error)
    await reprice(connection, price)
    if operation.operation is OperationType.QUERY:
        only_reads()
    context = Context(connection=connection, service=service, document=document)
    answer = await answered(context, request, limits.timeout_seconds)
    if refused := admission_of(
        connection.scope
    ).refusal:  # of what only a field's caller counts against
        raise refused
    outcome = "error" if "errors" in answer else "ok"
    kind = operation.operation.value
    # Who is not known could fill the metrics with names.
    name = operation.name.value if operation.name and context.known else None
    metrics.observe(kind, name, outcome, perf_counter() - started, price)
    return HTTPStatus.OK, {**answer, "extensions": {"cost": price}}


def refusal(error: Exception) -> tuple[HTTPStatus, Mapping[str, Any]]:
    """The response to a request that was not executed."""
    if isinstance(error, Failure):
        error = GraphQLError(error.detail, original_error=error)
    errors = error.errors if isinstance(error, Refused) else [cast("GraphQLError", error)]
    return HTTPStatus.BAD_REQUEST, {"errors": [described(each, refused=True) for each in errors]}


async def answered(context: Context, request: Request, seconds: float) -> dict[str, Any]:
    """Data and errors, within the time limit."""
    try:
        async with asyncio.timeout(seconds):
            result = await schema.execute(
                request.query,
                variable_values=request.variables,
                context_value=context,
                operation_name=request.operation_name,
            )
    except TimeoutError:
        failure = QueryTooSlow(seconds)
        error = GraphQLError(failure.detail, original_error=failure)
        return {"data": None, "errors": [described(error)]}
    answer: dict[str, Any] = {"data": result.data}
    if result.errors:
        for cause in filter(None, map(cause_of, result.errors)):
            report(context.connection.scope, cause)
        answer["errors"] = [described(each) for each in result.errors]
    return answer
