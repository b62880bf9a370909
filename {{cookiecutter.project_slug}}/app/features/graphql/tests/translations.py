"""Requests of REST in the words of GraphQL."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.features.graphql.tests.steps import filled, node_id_of, uuid_in

API = "/api/v1"
PRODUCTS, TENANTS = f"{API}/products", f"{API}/tenants"
Ids = dict[str, str]


def nothing(ids: Ids, options: Mapping[str, Any]) -> dict[str, Any]:
    """No variables."""
    return {}


def no_content(shown: Any) -> None:  # noqa: ANN401, JSON
    """What REST answers with 204."""


@dataclass(frozen=True)
class Translation:
    """A request in REST, and the same in GraphQL."""

    method: str
    path: str
    """A pattern; what it names are the ids of the request."""
    status: int
    """The status of a success in REST."""
    query: str
    """Its field has the alias `it`; `[product]` stands for the part of that name."""
    variables: Callable[[Ids, Mapping[str, Any]], dict[str, Any]] = nothing
    """From the ids, and the body or the query of the request."""
    shape: Callable[[Any], Any] = no_content
    """From what GraphQL shows, what REST would."""


def of_tenant(ids: Ids, options: Mapping[str, Any]) -> dict[str, Any]:
    """The tenant, and the body."""
    return {"tenant": node_id_of("Tenant", ids["tenant"]), "input": body_of(options)}


def body_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """The body; values of an enum are in upper case."""
    body = dict(options.get("json") or {})
    if "role" in body:
        body["role"] = body["role"].upper()
    return body


def of_product(ids: Ids, options: Mapping[str, Any]) -> dict[str, Any]:
    """The product, and the body."""
    return {"product": node_id_of("Product", ids.get("product", "")), "input": body_of(options)}


def of_page(ids: Ids, options: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a connection."""
    asked = options["params"]
    found = {"first": asked["limit"], "after": asked.get("cursor"), "sort": asked.get("sort")}
    wanted = {"name": asked.get("name"), "minPrice": asked.get("min_price")}
    return {**found, "filter": {name: each for name, each in wanted.items() if each is not None}}


def item(shown: dict[str, Any]) -> dict[str, Any]:
    """One item."""
    return {"id": shown["uuid"]}


def page(shown: dict[str, Any]) -> dict[str, Any]:
    """A page of a list."""
    info = shown["pageInfo"]
    return {
        "items": [item(each) for each in shown["nodes"]],
        "next_cursor": info["endCursor"] if info["hasNextPage"] else None,
        "total": shown["totalCount"],
    }


def members(shown: dict[str, Any]) -> dict[str, Any]:
    """The members of a tenant."""
    return {"items": [{"user_id": uuid_in(each["userId"])} for each in shown["members"]["nodes"]]}


def events(shown: dict[str, Any]) -> dict[str, Any]:
    """The audit events of a tenant."""
    return {"items": [{"id": e["uuid"], "tenant_id": e["tenantId"]} for e in shown["nodes"]]}


def memberships(shown: dict[str, Any]) -> dict[str, Any]:
    """The caller's tenants."""
    return {
        "items": [
            {"role": each["role"].lower(), "tenant": item(each["tenant"])}
            for each in shown["nodes"]
        ]
    }


ONE_TENANT = rf"{TENANTS}/(?P<tenant>[^/]+)"
ONE_PRODUCT = rf"{PRODUCTS}/(?P<product>[^/]+)"
PARTS = {
    "product": "id uuid name sku description price currency",
    "tenant": "id uuid name",
    "new_member": "{ role tenant { id uuid name members(first: 9) { nodes { email } } } }",
}
"""What several queries select."""
TRANSLATIONS = [
    Translation(
        "POST",
        PRODUCTS,
        201,
        "mutation($input: NewProduct!) { it: createProduct(input: $input) { [product] } }",
        of_product,
        item,
    ),
    Translation(
        "GET",
        ONE_PRODUCT,
        200,
        "query($product: ID!) { it: product(id: $product) { [product] } }",
        of_product,
        item,
    ),
    Translation(
        "PATCH",
        ONE_PRODUCT,
        200,
        """mutation($product: ID!, $input: ProductChange!) {
          it: updateProduct(id: $product, input: $input) { [product] }
        }""",
        of_product,
        item,
    ),
    Translation(
        "DELETE",
        ONE_PRODUCT,
        204,
        "mutation($product: ID!) { it: deleteProduct(id: $product) }",
        of_product,
    ),
    Translation(
        "POST",
        f"{API}/price-changes",
        202,
        "mutation($input: PriceChange!) { it: changePrices(input: $input) }",
        of_product,
    ),
    Translation(
        "GET",
        PRODUCTS,
        200,
        """query($first: Int, $after: String, $sort: String, $filter: ProductFilter) {
          it: products(first: $first, after: $after, sort: $sort, filter: $filter) {
            nodes { [product] }
            edges { node { [product] } }
            pageInfo { hasNextPage endCursor }
            totalCount
          }
        }""",
        of_page,
        page,
    ),
    Translation(
        "GET",
        ONE_TENANT,
        200,
        "query($tenant: ID!) { it: tenant(id: $tenant) { [tenant] } }",
        of_tenant,
        item,
    ),
    Translation(
        "GET",
        f"{ONE_TENANT}/members",
        200,
        """query($tenant: ID!) {
          it: tenant(id: $tenant) { name members(first: 20) { nodes { userId email } } }
        }""",
        of_tenant,
        members,
    ),
    Translation(
        "PATCH",
        ONE_TENANT,
        200,
        """mutation($tenant: ID!, $input: NewTenant!) {
          it: renameTenant(id: $tenant, input: $input) { [tenant] }
        }""",
        of_tenant,
        item,
    ),
    Translation(
        "GET",
        f"{ONE_TENANT}/audit-events",
        200,
        """{
          it: tenantAuditEvents(first: 100) { nodes { uuid tenantId action objectId before after } }
        }""",
        shape=events,
    ),
    Translation(
        "GET",
        TENANTS,
        200,
        "{ it: tenants(first: 100) { nodes { role tenant { [tenant] } } } }",
        shape=memberships,
    ),
    *(
        Translation(
            "GET",
            f"{API}/{path}",
            200,
            filled("{ it: [name](first: 20) { totalCount } }", name=name),
        )
        for path, name in (
            ("jobs", "jobs"),
            ("audit-events", "auditEvents"),
            ("users", "users"),
            ("roles", "roles"),
        )
    ),
    Translation(
        "POST",
        f"{ONE_TENANT}/invitations",
        201,
        """mutation($tenant: ID!, $input: NewInvitation!) {
          it: inviteMember(tenantId: $tenant, input: $input) { id uuid email role }
        }""",
        of_tenant,
        item,
    ),
    Translation(
        "DELETE",
        f"{ONE_TENANT}/invitations/(?P<invitation>[^/]+)",
        204,
        """mutation($tenant: ID!, $invitation: ID!) {
          it: revokeInvitation(tenantId: $tenant, id: $invitation)
        }""",
        lambda ids, options: {
            "tenant": node_id_of("Tenant", ids["tenant"]),
            "invitation": node_id_of("Invitation", ids["invitation"]),
        },
    ),
    Translation(
        "POST",
        f"{API}/invitations/accept",
        200,
        "mutation($token: String!) { it: acceptInvitation(token: $token) [new_member] }",
        lambda ids, options: options["json"],
    ),
    Translation(
        "DELETE",
        f"{ONE_TENANT}/members/(?P<user>[^/]+)",
        204,
        "mutation($tenant: ID!, $user: ID!) { it: removeMember(tenantId: $tenant, userId: $user) }",
        lambda ids, options: {
            "tenant": node_id_of("Tenant", ids["tenant"]),
            "user": node_id_of("User", ids["user"]),
        },
    ),
]


def translated(method: str, path: str) -> tuple[Translation, Ids]:
    """The translation of a request, and its ids."""
    for each in TRANSLATIONS:
        found = re.fullmatch(each.path, path)
        if found and each.method == method:
            return each, found.groupdict()
    raise LookupError(method, path)
