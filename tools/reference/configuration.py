"""The page of the settings."""

from typing import Any

from tools.reference.markup import Facts, feature_of, only_with, page
from tools.reference.sources import (
    described_settings,
    linked,
    marked,
    wanted_by,
)

NAMES = {"graphql": "GraphQL"}
"""Titles that are not a capitalized word."""


def settings(facts: Facts) -> str:
    """Every setting of every feature."""
    missing = {text.split()[0] for text in facts["refusals"]["missing"]}
    intro = """
Settings are environment variables. In development they can also be lines of `.env` (copy `.env.example`); in
production, files of the same names in `/run/secrets`, or in the folder that `SECRETS_DIR` names. The environment wins over
`.env`, and `.env` over files. `uv run app settings check` shows the values in force, what sets each of them, and every fault.
`<project_slug>` and the like stand for your [answers](options.md)."""
    parts = [section(each, missing) for each in facts["settings"]]
    return page("Settings", intro, deployed(facts), *parts)


def deployed(facts: Facts) -> str:
    """What a deployed service refuses."""
    refused = facts["refusals"]
    return "\n\n".join(
        [
            "## What staging and production refuse",
            "With `ENVIRONMENT=staging` or `production` the service does not start with unsafe settings, and names all"
            " faults at once. These defaults must be changed:",
            faults(refused["missing"]),
            "These values are refused as well:",
            faults([text for text in refused["all"] if text not in refused["missing"]]),
            "Several processes (`app serve --workers 2`) do not start, in any environment, if:",
            faults([text for each in facts["settings"] for text in each["several"]]),
        ]
    )


def faults(found: list[str]) -> str:
    """A list of faults."""
    return "\n".join(f"* {linked(marked(text), described_settings())}" for text in found)


def section(kind: Any, missing: set[str]) -> str:
    """The settings of one class."""
    described = described_settings()
    compound = [name for name in described if "_" in name]  # DEBUG is also a level
    title = feature_of(kind["module"])
    parts = [f"## {NAMES.get(title, title.capitalize())}", only_with(wanted_by(kind["module"]))]
    within = wanted_by(kind["module"])
    for name, field in kind["fields"].items():
        about = described[name]
        default = f"default `{about.default}`" if about.default else "no default"
        must = ", must be set in staging and production" if name in missing else ""
        more = {option: value for option, value in about.wanted.items() if option not in within}
        parts += [
            f"### `{name}`",
            f"*{limits(field)}; {default}{must}.*",
            " ".join(filter(None, [linked(about.about, compound), only_with(more)])),
        ]
    return "\n\n".join(filter(None, parts))


def limits(field: Any) -> str:
    """The type of a setting, and its range."""
    low = f"at least {field['ge']:,}" if "ge" in field else ""
    low = f"more than {field['gt']:,}" if "gt" in field else low
    high = f"at most {field['le']:,}" if "le" in field else ""
    size = f"at least {field['min_length']} characters" if field.get("min_length", 0) > 1 else ""
    kind = field["kind"][:1].upper() + field["kind"][1:]
    return ", ".join(filter(None, [kind, low, high, size]))
