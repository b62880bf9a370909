"""The page of the options, and what each adds."""

from collections.abc import Sequence
from typing import Any

from tools.reference.markup import Facts, code, page, table
from tools.reference.sources import (
    Wanted,
    described_metrics,
    described_settings,
    requirements,
    source,
    wanted_by,
)


def options(facts: Facts) -> str:
    """Every question, its values and what they add."""
    intro = """
Answers are given when a service is generated: at the prompts, or on the command line as `name=value` (Cookiecutter) or
`--data name=value` (Copier). The options from `database` on can be [switched later](../how-to/switch.md); none requires
or forbids another."""
    names = [name for name in source() if not name.startswith("_")]
    return page("Options", intro, *(option(name, facts) for name in names))


def option(name: str, facts: Facts) -> str:
    """One question."""
    default, prompt = source()[name], source()["__prompts__"][name]
    parts = [f"## `{name}`"]
    if isinstance(default, str):
        computed = "computed from the answers before" if "{{" in default else code(default)
        parts += [f"{prompt}.", f"Default: {computed}. {source()['_validators'][name]['message']}"]
    elif isinstance(default, bool):
        parts += [
            str(prompt),
            f"Default: `{str(default).lower()}`.",
            *additions({name: True}, facts),
        ]
    else:
        parts.append(str(prompt["__prompt__"]).removesuffix("."))
        rows = [[code(value), prompt[value]] for value in default]
        parts += [table(["value", "meaning"], rows), f"Default: `{default[0]}`."]
        for value in default:
            if added := additions({name: value}, facts):
                parts += [f"With `{value}`:", *added[1:]]
    return "\n\n".join(parts)


def additions(options: Wanted, facts: Facts) -> list[str]:
    """What a service has only with these options."""
    adds = [
        ("packages", [code(name) for name in requirements(options)]),
        (
            "settings",
            [
                setting_link(name)
                for name, each in described_settings().items()
                if each.wanted == options
            ],
        ),
        ("commands", [code(each["name"]) for each in of(options, facts["commands"])]),
        ("endpoints", sorted({code(each["path"]) for each in of(options, facts["operations"])})),
        ("events", [code(each["name"]) for each in of(options, facts["events"])]),
        ("metrics", [code(name) for name, _, _, needs in described_metrics() if needs == options]),
        ("files", [code(path) for path in files_of(options)]),
    ]
    items = [f"* {what}: {', '.join(names)}" for what, names in adds if names]
    return ["It adds:", "\n".join(items)] if items else []


def of(options: Wanted, found: Sequence[Any]) -> list[Any]:
    """Those that depend on exactly these options."""
    return [each for each in found if wanted_by(each["module"]) == options]


def files_of(options: Wanted) -> list[str]:
    """The files and folders that exist only with these options."""
    rules = source()["_prune"]
    return [path for rule in rules if rule["keep_when"] == options for path in rule["paths"]]


def setting_link(name: str) -> str:
    """A setting, with a link to its description."""
    return f"[`{name}`](settings.md#{name.lower()})"
