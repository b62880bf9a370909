"""A page for each type of problem, and their list."""

import json
from http import HTTPStatus
from typing import Any

from tools.reference.markup import Facts, code, only_with, page, table
from tools.reference.sources import wanted_by

URN = "urn:problem-type:"
STANDARD = {"type", "title", "status", "detail", "instance", "correlation_id"}

BY_STATUS = {
    400: "Correct the request before you send it again.",
    401: "Present valid credentials: refresh the access token, or have the user sign in again.",
    403: "Do not retry: the same caller gets the same response. Ask an administrator for the missing permission.",
    404: "Check the id and the path. What the caller may not see looks the same as what does not exist.",
    405: "Use a method that the response's `Allow` header lists.",
    409: "Read the current state, and decide whether the request still makes sense. Unchanged, it fails again.",
    410: "Use the endpoint that `detail` names; its removal was announced in the `Deprecation` and `Sunset` headers.",
    412: "Read the resource again, make the change to what you find, and send it with the new `ETag`.",
    415: "Send the media type that `detail` names.",
    421: "Use the public name of the service; its operator lists the names in"
    " [`ALLOWED_HOSTS`](../settings.md#allowed_hosts).",
    422: "Correct what `detail` names, then send the request again.",
    428: "Read the resource first, and send its `ETag` as `If-Match`.",
    429: "Wait for as many seconds as `Retry-After` says, then send the request again.",
    502: "The request itself may be fine. Retry with increasing delays, and give up after a few attempts. Repeat requests that"
    " write only with the same `Idempotency-Key`.",
}
BY_STATUS[503] = BY_STATUS[504] = BY_STATUS[502].replace(
    "Retry with increasing delays", "Retry after `Retry-After`, with increasing delays"
)
"""What clients should do, unless `ADVICE` has better."""

ADVICE = {
    "already-member": "Nothing to do: the user is already a member.",
    "database-timeout": "Retry after `Retry-After`. If it persists, an operator should look for locks and slow statements.",
    "deleted-meanwhile": "Reload what the request refers to, and leave out what is gone.",
    "idempotency-key-reused": "Use a new key for each new request, and the old one only to repeat that request.",
    "invalid-cursor": "Start again from the first page, without `cursor`. Do not build or keep cursors yourself.",
    "invalid-invitation": "Ask a member of the tenant for a new invitation, and accept it signed in with the invited address.",
    "invalid-key": "Generate a key for each request, such as a random UUID, and send the same one when you retry.",
    "invalid-mailed-token": "Let the user request a new mail.",
    "invalid-query": "Correct the query; the schema is what introspection, or `app graphql schema`, shows.",
    "invalid-refresh-token": "Discard both tokens, and have the user sign in again. If the token was used twice, its session"
    " has ended, because it may have been stolen.",
    "last-administrator": "Make another account an administrator first.",
    "last-owner": "Make another member an owner first, or delete the tenant.",
    "lost-race": "Send the same request again: nothing of it was kept.",
    "metrics-off": "The operator sets [`METRICS_TOKEN`](../settings.md#metrics_token).",
    "not-migrated": "The operator runs `app db upgrade`. Clients try again later.",
    "not-ready": "Load balancers stop sending requests here for now. The body says what is not ready, to callers who may see it.",
    "one-attempt": "Send one sign-in or refresh per request.",
    "out-of-stock": "Show the user how many are `available`, and order no more than that.",
    "outdated": "Retry after `Retry-After`: a newer version of the service is taking over.",
    "payment-too-late": "Place a new order.",
    "query-too-large": "Ask for less at once: smaller pages, fewer levels, several requests.",
    "query-too-slow": "Ask for less at once; try again only if the service was busy.",
    "request-in-progress": "Wait as long as `Retry-After` says, and repeat the request with its key.",
    "response-unreadable": "Find out whether the request was executed, and use a new key.",
    "role-in-use": "Remove the role from all users first.",
    "several-currencies": "Place an order for each currency.",
    "sign-in-again": "Have the user sign in again, although the access token is still valid, and repeat the request with the"
    " new token.",
    "tenant-suspended": "Contact the operator of the service.",
    "unknown-host": BY_STATUS[421],
    "url-refused": "Let the user give a public `https://` URL.",
    "validation-error": "Correct each field that `errors` names: `location` and `pointer` say where it is, `rule` what it"
    " breaks. Unchanged, the request fails again.",
    "weak-password": "Let the user choose another password.",
    "wrong-credentials": "Let the user correct the address or the password, verify the address, or reset the password. Do not"
    " retry automatically: attempts are limited.",
    "wrong-token": "Present the value of [`METRICS_TOKEN`](../settings.md#metrics_token) as a bearer token.",
}

INTRO = """
Every error response is a problem document ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)) of type
`application/problem+json`, including the framework's own errors and unexpected ones. None contains a stack trace, SQL or a
rejected value.

| member | meaning |
| --- | --- |
| `type` | what went wrong, as listed below; compare this in code |
| `title` | the reason phrase of the status |
| `status` | the HTTP status |
| `detail` | an explanation for people; its wording may change |
| `instance` | the path of the request |
| `correlation_id` | identifies the request in the logs; quote it when you ask for help |

Some types have further members, such as `errors`. GraphQL returns the members in the `extensions` of each error.

A `type` is a URN: it is the same in development and on every host, and is compared rather than fetched. It is derived from the
class that defines the problem: `class RoleInUse(Conflict)` is `urn:problem-type:role-in-use`. Every service also lists its
types, including your own, in its OpenAPI document and on `/docs`, at `Problem.type`."""

BLANK = """
## `about:blank`

The status says everything:

| status | when, and what to do |
| --- | --- |
| 400 | The body cannot be read: send a well-formed one. Or a page of another origin was refused: list the origin in [`CORS_ORIGINS`](../settings.md#cors_origins). |
| 404 | There is no such path: check it, and the version in it. |
| 405 | The path has no such method: use one that `Allow` lists. |
| 413 | The body is larger than [`MAX_BODY_SIZE`](../settings.md#max_body_size): send less. |
| 500 | A bug; the stack trace is in the log. Report it with the `correlation_id`; repeat requests that write only with the same `Idempotency-Key`. |
"""


def name_of(problem: Any) -> str:
    """Its name, as in its page's path."""
    return problem["type"].removeprefix(URN)


def distinct(facts: Facts) -> list[Any]:
    """One entry for each type, the most general of those that share it, by name."""
    by_name: dict[str, Any] = {}
    for each in facts["problems"]:
        known = by_name.get(name_of(each))
        if known is None or (wanted_by(known["module"]) and not wanted_by(each["module"])):
            by_name[name_of(each)] = each
    if unknown := ADVICE.keys() - by_name.keys():
        raise SystemExit(f"advice on problems that there are not: {', '.join(sorted(unknown))}")
    return [by_name[name] for name in sorted(by_name)]


def problem(each: Any) -> str:
    """The page of a type."""
    name, status = name_of(each), each["status"]
    more = [member for member in each["example"] if member not in STANDARD]
    parts = [
        f"**{status} {HTTPStatus(status).phrase}** · `{each['type']}`",
        described(each),
        "## What to do",
        ADVICE.get(name, BY_STATUS[status]),
        "## Example",
        f"```json\n{json.dumps(each['example'], indent=2, ensure_ascii=False)}\n```",
        f"Further members: {', '.join(map(code, more))}." if more else "",
        f"Headers: {', '.join(code(f'{key}: {value}') for key, value in each['headers'].items())}."
        if each["headers"]
        else "",
        "[All problems](index.md)",
    ]
    return page(name, *parts)


def index(problems: list[Any]) -> str:
    """The list of all types, by status."""
    parts: list[str] = []
    for status in sorted({each["status"] for each in problems}):
        rows = [
            [f"[`{name_of(each)}`]({name_of(each)}.md)", described(each)]
            for each in problems
            if each["status"] == status
        ]
        parts.append(f"## {status} {HTTPStatus(status).phrase}\n\n{table(['type', 'when'], rows)}")
    return page("Problems", INTRO, *parts, BLANK)


def described(each: Any) -> str:
    """When it occurs, and in which services."""
    return " ".join([*each["about"].split(), only_with(wanted_by(each["module"]))]).strip()


def pages(facts: Facts) -> dict[str, str]:
    """All of these pages, by file name."""
    found = distinct(facts)
    return {"index.md": index(found)} | {f"{name_of(each)}.md": problem(each) for each in found}
