"""The command `app settings check`."""

from collections.abc import Iterator

import typer
from pydantic_settings import (
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
)

from app.core.configuration import Kinds, variable
from app.core.settings import FeatureSettings


def print_settings(kinds: Kinds) -> None:
    """Print the settings, with secrets masked, and what sets them."""
    for kind in kinds:
        typer.echo(kind().model_dump_json(indent=2))
    found = [each for kind in kinds for each in origins(kind)]
    for name, (first, *others) in ((name, places) for name, places in found if places):
        typer.echo(f"{name}: {first}" + (f", not {' or '.join(others)}" if others else ""))
    typer.echo(f"defaults: {', '.join(name for name, places in found if not places)}")


def origins(kind: type[FeatureSettings]) -> Iterator[tuple[str, list[str]]]:
    """Each variable, with the places that set it; the first one wins, and without any it has its default."""
    sources = kind.settings_customise_sources(
        kind,
        InitSettingsSource(kind, {}),
        EnvSettingsSource(kind),
        DotEnvSettingsSource(kind),
        SecretsSettingsSource(kind),
    )
    found = [(place(source), source()) for source in sources]
    for field in kind.model_fields:
        yield variable(kind, field), [name for name, values in found if field in values]


def place(source: PydanticBaseSettingsSource) -> str:
    """What to call it."""
    if isinstance(source, SecretsSettingsSource):
        return str(source.secrets_dir)
    return ".env" if isinstance(source, DotEnvSettingsSource) else "environment"
