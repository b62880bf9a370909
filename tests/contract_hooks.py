"""What Schemathesis cannot know of a service: what only the service itself can make."""

import schemathesis  # pyright: ignore[reportMissingImports], installed in the project that is tested

ONLY_OURS = {"cursor", "X-Tenant-ID"}
"""Parameters whose values are signed, or ids of what exists: none that is made up is accepted."""


@schemathesis.hook
def before_call(context: object, case: schemathesis.Case, kwargs: object) -> None:
    """Leave these out of valid requests, which could reach nothing with them."""
    if case.meta and case.meta.generation.mode.is_positive:
        for values in (case.query, case.headers):
            for name in ONLY_OURS & set(values or ()):
                del values[name]
