"""What the pages are made of."""

from collections.abc import Sequence
from typing import Any

from tools.reference.sources import Wanted, named

Facts = dict[str, Any]
WRITTEN = "<!-- Written by `make reference` from the code. Do not edit. -->\n"


def page(title: str, *parts: str) -> str:
    """A page, with the note that it is generated."""
    return "\n\n".join([f"{WRITTEN}\n# {title}", *(part.strip() for part in parts if part)]) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', '&#124;') for cell in each)} |" for each in lines
    )


def feature_of(module: str) -> str:
    """The feature or package that a module belongs to, as a title."""
    parts = module.split(".")
    if parts[1] == "features":
        return parts[2]
    return "celery" if "celery" in parts else "service"


def only_with(options: Wanted) -> str:
    """A note for what only some services have."""
    return f"Only with {named(options)}." if options else ""


def code(text: str) -> str:
    """Text as code, if there is any."""
    return f"`{text}`" if text else ""
