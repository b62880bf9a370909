"""Secrets are masked in the log: by their type, by the name of the field, and where texts contain them."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

from pydantic import Secret, SecretBytes, SecretStr
from sqlalchemy import URL

MASK = "***"
NAMES = "passw(?:or)?d|pwd|passphrase|secret|token|credential|authorization|cookie|api[-_ ]?key|private[-_ ]?key"
"""What is in the names of fields whose values are masked."""
NAMED = lru_cache(1024)(re.compile(NAMES, re.IGNORECASE).search)
DEEPEST = 8
"""Levels of lists and mappings; something may contain itself."""
HINTS = (
    "passw",
    "pwd",
    "credential",
    "passphrase",
    "secret",
    "token",
    "authorization",
    "cookie",
    "key",
    "bearer",
    "eyj",
    "://",
)
"""A text without any of these, in lower case, need not be searched, which takes long."""


def pattern(text: str, instead: str = r"\g<1>" + MASK) -> tuple[re.Pattern[str], str]:
    """What is searched for in texts; each part has a limit, as clients could write texts that take very long to search."""
    return re.compile(text, re.IGNORECASE), instead


NAME = rf"(?:{NAMES})" + r"[\w-]{0,40}"
TEXTS = (
    # A JSON Web Token, wherever it is.
    pattern(r"(?<![\w-])eyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?", MASK),
    # The password in a URL.
    pattern(r"(\b[a-z][\w+.-]{0,30}://[^\s:/@]{0,200}:)[^\s@]{1,200}(?=@)"),
    # Headers.
    pattern(r"(authorization\W{0,3}[:=]\W{0,3})[^\r\n\"']+"),
    # `('authorization', '...')`, as in lists of headers.
    pattern(
        r"(b?[\"'](?:[\w-]{0,20}authorization|(?:set-)?cookie|x-api-key)[\"'],\s?b?[\"'])[^\"']+"
    ),
    pattern(r"(cookie\W{0,3}[:=]\W{0,3})[^\r\n\"']+"),
    # Of credentials elsewhere, what has a digit; the rest are words about them.
    pattern(r"\b(bearer +)(?=[^\s\"',]{0,200}\d)[^\s\"',]{8,}"),
    # `'password': '...'`, as in the text of a mapping or an object.
    pattern(
        rf"({NAME}"
        r"\\*[\"']?\s{0,9}[=:]\s{0,9}\\*b?(?P<quote>[\"']))(?:\\.|(?!(?P=quote))[^\\])*"
    ),
    # `token=...`, in a link or not.
    pattern(rf"({NAME}" + r"(?:=|%3D|:\s{1,9}(?=\S{0,200}\d)))(?![\"'*])[^\s\"'&#,;)}\]]+"),
)


def masked_text(text: str) -> str:
    """The text without what looks like a secret."""
    lower = text.lower()
    if any(hint in lower for hint in HINTS):
        for searched, instead in TEXTS:
            text = searched.sub(instead, text)
    return text


def masked(value: object, depth: int = 0) -> Any:  # noqa: ANN401, as it was given
    """The value without secrets, however deep in it they are."""
    match value:
        case _ if depth > DEEPEST:
            return "…"
        case None | bool() | int() | float():
            return value
        case Secret() | SecretStr() | SecretBytes():
            return MASK
        case Mapping():
            fields = cast("Mapping[Any, Any]", value)
            return {name: masked_field(name, each, depth + 1) for name, each in fields.items()}
        case list() | tuple() | set() | frozenset() if not isinstance(value, URL):
            return [masked(each, depth + 1) for each in cast("list[Any]", value)]
        case _:
            return masked_text(value if isinstance(value, str) else printed(value))


def printed(value: object) -> str:
    """The text of an object; no line of the log fails for want of one."""
    try:
        return repr(value)
    except Exception:  # noqa: BLE001, whatever its class does
        return f"<{type(value).__name__}>"


def masked_field(name: object, value: object, depth: int = 0) -> Any:  # noqa: ANN401, likewise
    """The value of a field; of one with a secret's name, whether there is one."""
    return MASK if value is not None and NAMED(str(name)) else masked(value, depth)
