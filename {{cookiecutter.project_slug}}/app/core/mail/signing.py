"""Signature Version 4 of Amazon Web Services, for requests without a query.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hmac
from collections.abc import Mapping
from datetime import datetime
from functools import reduce
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"


class Key(NamedTuple):
    """An access key, and what it is used for."""

    access: str
    secret: str
    region: str
    service: str


def signed(
    key: Key, method: str, url: str, headers: Mapping[str, str], content: bytes, now: datetime
) -> dict[str, str]:
    """These headers and those that sign them, the request line and the content."""
    parts, stamp = urlsplit(url), f"{now:%Y%m%dT%H%M%SZ}"
    signing = {**headers, "Host": parts.netloc, "X-Amz-Date": stamp}
    lines = sorted((name.lower(), text.strip()) for name, text in signing.items())
    names = ";".join(name for name, _ in lines)
    canonical = "\n".join(
        [
            method,
            quote(parts.path or "/"),
            "",
            *(f"{name}:{text}" for name, text in lines),
            "",
            names,
            sha256(content).hexdigest(),
        ]
    )
    scope = [stamp[:8], key.region, key.service, TERMINATOR]
    digest = sha256(canonical.encode()).hexdigest()
    text = "\n".join([ALGORITHM, stamp, "/".join(scope), digest])
    secret = reduce(mac, scope, f"AWS4{key.secret}".encode())
    credential = f"Credential={key.access}/{'/'.join(scope)}"
    signature = f"Signature={mac(secret, text).hex()}"
    return signing | {
        "Authorization": f"{ALGORITHM} {credential}, SignedHeaders={names}, {signature}"
    }


def mac(key: bytes, text: str) -> bytes:
    """One step of deriving the key, and the signature itself."""
    return hmac.digest(key, text.encode(), "sha256")
