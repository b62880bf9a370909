"""The schema: what each module under `types` adds to the queries and the mutations."""

from collections.abc import Iterator
from typing import Any

import strawberry
from graphql import GraphQLError, GraphQLSchema
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types
from strawberry.types import ExecutionContext, get_object_definition

from app.features.graphql import nodes
from app.features.graphql.fields import Access
from app.features.graphql.schemas import SCALARS
from app.features.graphql.types import (
    audit,
    auth,
    jobs,
    limits,
    # {% if cookiecutter.include_example %}
    orders,
    products,
    # {% endif %}
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenants,
    # {% endif %}
    users,
)

MODULES: list[Any] = [
    nodes,
    users,
    auth,
    audit,
    jobs,
    limits,
    # {% if cookiecutter.multi_tenancy == "row" %}
    tenants,
    # {% endif %}
    # {% if cookiecutter.include_example %}
    products,
    orders,
    # {% endif %}
]


class Prepared(SchemaExtension):
    """Executes the document that was parsed, limited and validated before."""

    def on_parse(self) -> Any:  # noqa: ANN401, a generator as Strawberry takes it
        """Take it from the context."""
        self.execution_context.graphql_document = self.execution_context.context.document
        yield

    def on_validate(self) -> Any:  # noqa: ANN401, likewise
        """It is valid."""
        self.execution_context.pre_execution_errors = []
        yield


class Schema(strawberry.Schema):
    """Leaves logging to the code that answers."""

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Log nothing: most errors are the client's."""


def merged(name: str) -> type:
    """The type of all modules together, such as `Query`."""
    parts = tuple(getattr(module, name) for module in MODULES if hasattr(module, name))
    return merge_types(name, parts)


schema = Schema(
    query=merged("Query"),
    mutation=merged("Mutation"),
    extensions=[Prepared],
    config=StrawberryConfig(scalar_map=SCALARS, relay_max_results=100),
)
core: GraphQLSchema = schema._schema  # pyright: ignore[reportPrivateUsage], to validate and to compare


def operations() -> Iterator[tuple[str, str, str, Any]]:
    """Every query and mutation, with its access."""
    for kind, type_ in (("QUERY", schema.query), ("MUTATION", schema.mutation)):
        for field in get_object_definition(type_, strict=True).fields:
            name = schema.config.name_converter.get_graphql_name(field)
            for access in (each for each in field.extensions if isinstance(each, Access)):
                yield "/graphql", kind, name, access.access
