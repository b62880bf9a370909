"""The pages of the commands and of the HTTP API."""

from collections.abc import Iterator, Sequence
from typing import Any

from tools.reference.markup import Facts, code, only_with, page, table
from tools.reference.sources import Wanted, wanted_by


def commands(facts: Facts) -> str:
    """Every command of `app`."""
    intro = """
Run them with `uv run` in the project, such as `uv run app dev`; in the container, `app` is on the path. Each takes `--help`.
A command that fails says why on standard error, and exits with 1; with 2 if the settings or the arguments are unfit.

To complete commands with Tab, activate the environment (`source .venv/bin/activate`), run `app --install-completion` once,
and open a new shell."""
    return page("Commands", intro, *map(command, facts["commands"]))


def command(each: Any) -> str:
    """One command."""
    about, *more = str(each["help"]).strip().split("\n\n")
    usage = " ".join([each["name"], *map(in_usage, each["parameters"])])
    rows = [parameter(one) for one in each["parameters"]]
    return "\n\n".join(
        filter(
            None,
            [
                f"## `{each['name']}`",
                about,
                *more,
                only_with(wanted_by(each["module"])),
                f"```text\n{usage}\n```",
                table(["argument", "meaning"], rows) if rows else "",
            ],
        )
    )


def in_usage(each: Any) -> str:
    """A parameter in the line that shows how a command is used."""
    name = each["names"][0] if each["names"] else each["metavar"]
    value = "" if each["flag"] or not each["names"] else f" {each['metavar']}"
    text = name + value + ("..." if each["several"] else "")
    return text if each["required"] and not each["asked"] else f"[{text}]"


def parameter(each: Any) -> list[str]:
    """A parameter in the table."""
    names = ", ".join(f"`{name}`" for name in each["names"]) or f"`{each['metavar']}`"
    about = each["help"]
    if each["environment"]:
        about = f"{about} May be in the environment variable `{each['environment']}`.".strip()
    required = "Asked for if not given." if each["asked"] else "Must be given."
    default = f"Default: {code(each['default'])}." if each["default"] else ""
    return [names, " ".join(filter(None, [about, required if each["required"] else default]))]


def http(facts: Facts) -> str:
    """Every operation, by tag."""
    intro = """
`/docs` of a running service shows parameters and schemas of each operation, and calls them; `/api/v1/openapi.json` is the
same as an OpenAPI document. Errors are [problem documents](problems/index.md). Permissions belong to roles; `admin` has all."""
    tags: dict[str, list[Any]] = {}
    for each in facts["operations"]:
        tags.setdefault(each.get("tags", ["other endpoints"])[0], []).append(each)
    outside = tags.pop("other endpoints")
    parts = [tagged(tag, found) for tag, found in sorted(tags.items())]
    rows = [
        [
            code(f"{each['method']} {each['path']}"),
            f"{each['about']} {only_with(wanted_by(each['module']))}".strip(),
        ]
        for each in outside
        if "." not in each["path"]
    ]
    last = [
        "## Other endpoints",
        "Not in the OpenAPI document:",
        table(["request", "what it does"], rows),
    ]
    return page("HTTP API", intro, *parts, "\n\n".join(last))


def tagged(tag: str, found: Sequence[Any]) -> str:
    """The operations of a tag."""
    needs = [wanted_by(each["module"]) for each in found]
    shared = needs[0] if all(each == needs[0] for each in needs) else {}
    parts = [f"## {tag.capitalize()}", only_with(shared)]
    for each, own in zip(found, needs, strict=True):
        parts += operation(each, {} if own == shared else own)
    return "\n\n".join(filter(None, parts))


def operation(each: Any, options: Wanted) -> Iterator[str]:
    """One operation."""
    yield f"### {each['summary']}"
    yield each.get("description", "")
    yield f"```http\n{each['method']} {each['path']}\n```"
    facts = [access(each)]
    if each.get("deprecated"):
        facts.append("deprecated")
    if named_parameters := [
        code(one["name"]) for one in each.get("parameters", []) if one["in"] == "query"
    ]:
        facts.append(f"Query: {', '.join(named_parameters)}")
    facts.append(f"Statuses: {', '.join(sorted(each['responses']))}")
    yield "  \n".join(facts)
    yield only_with(options)


def access(each: Any) -> str:
    """Who may call it."""
    if not each.get("security"):
        return "Public"
    scopes = next(iter(each["security"][0].values()))
    return f"Permission: {', '.join(map(code, scopes))}" if scopes else "Any signed-in caller"
