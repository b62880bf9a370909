"""What Schemathesis cannot generate for a service: values that only the service can create."""

from uuid import uuid4

import schemathesis  # pyright: ignore[reportMissingImports], installed in the project that is tested

KEY = "Idempotency-Key"
ONLY_OURS = {"before", "cursor", "If-Match", "X-Tenant-ID"}
"""Parameters whose values are signed, versions, or ids of existing objects: invented ones are not accepted."""


@schemathesis.hook
def before_call(context: object, case: schemathesis.Case, kwargs: object) -> None:
    """Leave these out of valid requests, which would reach nothing with them."""
    if case.meta and case.meta.generation.mode.is_positive:
        for values in (case.query, case.headers):
            for name in ONLY_OURS & set(values or ()):
                del values[name]
            if KEY in (values or ()):
                values[KEY] = uuid4().hex  # each request is another one
