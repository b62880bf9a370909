"""Check all settings of this process, the features' too, and report every fault at once."""

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches

from pydantic import ValidationError
from pydantic_settings import BaseSettings, DotEnvSettingsSource

from app.core.settings import DEPLOYED, Environment, FeatureSettings, Settings

Kinds = Sequence[type[FeatureSettings]]

# Similarity of two names, 1 being equal: a typo or two; `DATABASE_USER` is not `DATABASE_URL`.
TYPO = 0.885
# Enough for a name with the prefix of a feature, which is meant for it.
MEANT_FOR_US = 0.65


class UnfitSettings(Exception):
    """Settings that the service refuses to run with."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class Stage(FeatureSettings):
    """The environment alone, readable even if other settings are invalid."""

    environment: Environment = Environment.LOCAL


def check(kinds: Kinds) -> None:
    """Raise `UnfitSettings`, naming every fault, if there is one."""
    try:
        found = [*misspelled_in_file(kinds), *faults(kinds)]
    except UnicodeDecodeError:
        found = [".env is not UTF-8: convert it"]
    if found:
        raise UnfitSettings(found)


def check_several(settings: Settings, configured: Iterable[FeatureSettings]) -> None:
    """Raise `UnfitSettings` if several processes must not run with these."""
    if found := [fault for each in configured for fault in each.faults_of_several(settings)]:
        raise UnfitSettings(found)


def faults(kinds: Kinds) -> Iterator[str]:
    """The faults of each kind of settings."""
    try:
        deployed = Stage().environment in DEPLOYED
    except ValidationError:  # reported by the service's own settings
        deployed = False
    for kind in kinds:
        try:
            settings = kind()
        except ValidationError as invalid:
            yield from refusals(kind, invalid)
        else:
            if deployed:
                yield from settings.faults()


def refusals(kind: type[BaseSettings], invalid: ValidationError) -> Iterator[str]:
    """The validation errors, with the variable's name and never its value."""
    for error in invalid.errors():
        for fault in error["msg"].removeprefix("Value error, ").split("; "):
            name = variable(kind, str(error["loc"][0])) if error["loc"] else ""
            yield f"{name} {fault}".strip()


def misspelled_in_file(kinds: Kinds) -> Iterator[str]:
    """Misspelled names in `.env`."""
    for name, meant in misspelled(kinds, DotEnvSettingsSource(kinds[0]).env_vars, MEANT_FOR_US):
        yield f"{name} in .env is not a setting: did you mean {meant}?"


def misspelled(
    kinds: Kinds, names: Iterable[str], prefixed: float = TYPO
) -> Iterator[tuple[str, str]]:
    """Names that are nearly settings, each with the nearest; all others belong to other programs."""
    known = [variable(kind, field) for kind in kinds for field in kind.model_fields]
    prefixes = tuple(filter(None, (prefix(kind).upper() for kind in kinds)))
    for name in sorted({name.upper() for name in names}.difference(known)):
        alike = prefixed if name.startswith(prefixes) else TYPO
        for meant in get_close_matches(name, known, 1, alike):
            yield name, meant


def variable(kind: type[BaseSettings], field: str) -> str:
    """The environment variable of a field."""
    return (prefix(kind) + field).upper()


def prefix(kind: type[BaseSettings]) -> str:
    """The prefix of a feature's variables."""
    return kind.model_config.get("env_prefix", "")
