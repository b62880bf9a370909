"""GraphQL at `/graphql`: the same services, permissions and lists as in REST."""

from app.core.feature import Feature
from app.features.graphql.cli import cli
from app.features.graphql.router import router
from app.features.graphql.schema import operations
from app.features.graphql.settings import GraphQLSettings

feature = Feature(router=router, operations=operations, settings=(GraphQLSettings,), cli=cli)
