"""Settings of this feature, `GRAPHQL_...`."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from app.core.settings import FeatureSettings


class GraphQLSettings(FeatureSettings):
    """Each field is read from the environment variable `GRAPHQL_` plus its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="GRAPHQL_", env_ignore_empty=True)

    introspection: bool | None = None
    """Whether clients can read the schema, and the editor is served; by default unless deployed."""
    max_characters: int = Field(default=20_000, ge=1)
    max_tokens: int = Field(default=1_000, ge=1)
    max_depth: int = Field(default=12, ge=1)
    max_fields: int = Field(default=500, ge=1)
    max_aliases: int = Field(default=20, ge=0)
    max_directives: int = Field(default=20, ge=0)
    max_values: int = Field(default=5_000, ge=0)
    max_nodes: int = Field(default=10_000, ge=1)
    timeout_seconds: float = Field(default=10, gt=0)

    def __hash__(self) -> int:
        """By identity: a service has one of these, and remembers documents by it."""
        return id(self)
