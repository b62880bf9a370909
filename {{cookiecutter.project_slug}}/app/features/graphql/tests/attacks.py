"""Queries that would cost much, each of its own kind."""

from collections.abc import Mapping


def braced(text: str) -> str:
    """A selection."""
    return "{ " + text + " }"


def many(text: str, times: int) -> str:
    """The text again and again, with a number wherever it says N."""
    return " ".join(text.replace("N", str(number)) for number in range(times))


def chain(fragments: int, on: str, selection: str) -> str:
    """Fragments, each of which spreads NEXT, the one after it."""
    return " ".join(
        f"fragment F{n} on {on} " + braced(selection.replace("NEXT", f"...F{n + 1}"))
        for n in range(fragments)
    )


FLOOD = many("@unknown", 30)
REPEATED = braced(many("__typename", 300))
PAGES = "users(first: 1) " + braced(many("nodes { id }", 12))

TOO_LARGE: Mapping[str, str] = {
    "nesting": "{ me " * 100 + "}" * 100,
    "nesting that would exhaust the stack": "{ me " * 330 + "}" * 330,
    "nesting of types": '{ __type(name: "User") ' + "{ ofType " * 330 + "}" * 331,
    "nesting in fragments": "{ me { ...F0 } } " + chain(40, "User", "me { NEXT }"),
    "nested lists": "{ user(id: " + "[" * 450 + "]" * 450 + ") { id } }",
    "nested objects": "{ user(id: " + "{a:" * 230 + "1" + "}" * 230 + ") { id } }",
    "aliases": braced(many("aN: __typename", 200)),
    "aliases in a fragment": "{ ...F } fragment F on Query " + braced(many("aN: __typename", 30)),
    "directives": "{ __typename " + FLOOD + " }",
    "directives of a spread": "{ ...F " + FLOOD + " } fragment F on Query { me { id } }",
    "directives of an inline fragment": "{ ... " + FLOOD + " { me { id } } }",
    "directives of a fragment": "{ ...F } fragment F on Query " + FLOOD + " { me { id } }",
    "directives of a variable": "query ($a: Int " + FLOOD + ") { me { id } }",
    "directives of an operation": "query " + FLOOD + " { me { id } }",
    "exponential fragments": "{ ...F0 } " + chain(40, "Query", "NEXT NEXT"),
    "fragments and fields": "{ "
    + "...F " * 40
    + "} fragment F on Query "
    + braced(many("me { id }", 20)),
    "a repeated field": REPEATED,
    "repeats in repeats": braced(many(PAGES, 16)),
    "repeats in a fragment": "{ ...F } fragment F on Query " + REPEATED,
    "repeats in an unused fragment": "{ me { id } } fragment F on Query " + REPEATED,
    "repeats in the namesake of a fragment": "{ ...F } fragment F on Query "
    + REPEATED
    + " fragment F on Query { __typename }",
    "fields": braced(many("me { id }", 300)),
    "operations": many("query QN { __typename }", 300),
    "variables": "query (" + many("$vN: ID", 300) + ") { __typename }",
    "comments": "#\n" * 5_000 + "{ __typename }",
    "white space": "{" + " " * 500_000 + "__typename }",
    "a long name": "{ " + "a" * 500_000 + " }",
    "a long name of an operation": "query " + "a" * 500_000 + " { __typename }",
    "a long text": '{ user(id: "' + "a" * 500_000 + '") { id } }',
    "a long block": '{ user(id: """' + " a\\n" * 100_000 + '""") { id } }',
}
