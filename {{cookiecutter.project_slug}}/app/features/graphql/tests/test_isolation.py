"""No sequence of requests shows or changes what belongs to another tenant, through GraphQL either.

The state machine of REST, whose requests are issued in GraphQL, each fourth in REST; and what only
GraphQL can do: any node by its id, nested lists, and several tenants in one request.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from httpx2 import AsyncClient
from hypothesis import strategies as st
from hypothesis.stateful import rule

from app.core.settings import Settings
from app.features.graphql.tests.steps import URL, filled, node_id_of, uuid_in
from app.features.graphql.tests.translations import PARTS, translated
from tests.isolation import Answer, Isolation, anywhere, numbers, people, places, run


@dataclass(frozen=True)
class Shaped:
    """A response of GraphQL, as REST would give it."""

    status_code: int
    text: str
    """Of GraphQL."""
    headers: Mapping[str, str]
    content: Any

    def json(self) -> Any:  # noqa: ANN401
        return self.content


class GraphQLIsolation(Isolation):
    """The same tenants and users through GraphQL."""

    asked = 0

    async def send(
        self,
        client: AsyncClient,
        method: str,
        path: str,
        **options: Any,  # noqa: ANN401
    ) -> Answer:
        """The response to the same request in GraphQL; each fourth is left to REST."""
        self.asked += 1
        if self.asked % 4 == 0:
            return await super().send(client, method, path, **options)
        found, ids = translated(method, path)
        headers = dict(options["headers"])
        if "tenantAuditEvents" in found.query:
            headers["X-Tenant-ID"] = ids["tenant"]
        variables = found.variables(ids, options)
        request = {"query": filled(found.query, **PARTS), "variables": variables}
        answer = await client.post(URL, json=request, headers=headers)
        shown: Any = answer.json()
        if "errors" in shown:
            status = shown["errors"][0]["extensions"]["status"]
            return Shaped(status, answer.text, answer.headers, None)
        shaped = found.shape(shown["data"]["it"])
        return Shaped(found.status, answer.text, answer.headers, shaped)

    def query(
        self,
        person: int,
        header: int | None,
        query: str,
        **variables: str,
    ) -> tuple[dict[str, Any], dict[str, int], str]:
        """Data, the status of the failure at each path, and the whole text of a response."""
        headers = {} if header is None else {"X-Tenant-ID": self.places[header].id}
        request = {"query": query, "variables": variables}
        answer = self.run(self.clients[person].post(URL, json=request, headers=headers))
        assert answer.status_code == 200, answer.text
        failures = {
            ".".join(map(str, each["path"])): each["extensions"]["status"]
            for each in answer.json().get("errors", [])
        }
        assert all(status < 500 for status in failures.values()), answer.text
        return answer.json()["data"], failures, answer.text

    def tenant_status(self, person: int, where: int, header: int | None) -> int | None:
        """The failure of reading this tenant by its id, if it fails."""
        if header not in {None, where}:
            return 422
        return None if person in self.places[where].roles else 404

    @rule(
        person=people,
        header=anywhere,
        kind=st.sampled_from(["Product", "Tenant", "Invitation", "User", "Member", "Role"]),
        where=places,
        number=numbers,
        source=st.sampled_from(["product", "invitation", "tenant", "user"]),
    )
    def look_at_any_node(
        self, person: int, header: int | None, kind: str, where: int, number: int, source: str
    ) -> None:
        """The id of something, as the id of a node of any type."""
        id = {
            "product": self.any_product(number)[1],
            "invitation": self.any_invitation(number)[1],
            "tenant": self.places[where].id,
            "user": self.ids[number % len(self.ids)],
        }[source]
        query = filled(
            """query($id: ID!) {
          node(id: $id) {
            ... on Product { [product] }
            ... on Tenant { id uuid name members(first: 9) { nodes { email } } }
            ... on User { uuid email }
          }
        }""",
            product=PARTS["product"],
        )
        data, _, text = self.query(person, header, query, id=node_id_of(kind, id))
        scope = self.scope_of(person, header)
        if kind == "Product" and source == "product":
            found = scope is not None and scope is self.any_product(number)[0]
        elif kind == "Tenant" and source == "tenant":
            scope = self.places[where]
            found = self.tenant_status(person, where, header) is None
        else:
            found = False
        assert (data["node"] is not None) == found, text
        self.expect_secrecy(text, [scope] if found and scope else [])

    @rule(person=people, header=anywhere, where=places, other=places, number=numbers)
    def look_at_two_tenants(
        self, person: int, header: int | None, where: int, other: int, number: int
    ) -> None:
        """And at products in the same request: each part shows its own tenant only."""
        part = "{ id name members(first: 9) { nodes { userId email } totalCount } }"
        query = filled(
            """query($one: ID!, $two: ID!, $product: ID!) {
          one: tenant(id: $one) [part]
          products(first: 50) { nodes { [product] } totalCount }
          two: tenant(id: $two) [part]
          product(id: $product) { [product] }
        }""",
            part=part,
            product=PARTS["product"],
        )
        owner, product_id = self.any_product(number)
        ids = {
            "one": node_id_of("Tenant", self.places[where].id),
            "two": node_id_of("Tenant", self.places[other].id),
            "product": node_id_of("Product", product_id),
        }
        data, failures, _ = self.query(person, header, query, **ids)
        for name, place in (("one", where), ("two", other)):
            status = self.tenant_status(person, place, header)
            assert failures.get(name) == status
            self.expect_secrecy(str(data[name]), [self.places[place]])
            if status is None:
                roles = self.places[place].roles
                found = {uuid_in(each["userId"]) for each in data[name]["members"]["nodes"]}
                assert found == {self.ids[each] for each in roles}
                assert data[name]["members"]["totalCount"] == len(roles)
        scope = self.scope_of(person, header)
        assert (data["products"] is not None) == (scope is not None)
        assert (data["product"] is not None) == (scope is not None and scope is owner)
        if scope is not None:
            found = {each["uuid"] for each in data["products"]["nodes"]}
            assert found == set(scope.products.values())
            assert data["products"]["totalCount"] == len(found)
            self.expect_secrecy(str([data["products"], data["product"]]), [scope])

    @rule(person=people, where=places, other=places)
    def rename_two_tenants(self, person: int, where: int, other: int) -> None:
        """Each in a transaction of its own."""
        names = {"one": f"secret {uuid4().hex}", "two": f"secret {uuid4().hex}"}
        query = """mutation($one: ID!, $two: ID!, $first: String!, $second: String!) {
          one: renameTenant(id: $one, input: {name: $first}) { id name members(first: 9) { nodes { email } } }
          two: renameTenant(id: $two, input: {name: $second}) { id name invitations(first: 9) { nodes { id } } }
        }"""
        ids = {
            "one": node_id_of("Tenant", self.places[where].id),
            "two": node_id_of("Tenant", self.places[other].id),
        }
        more = {"first": names["one"], "second": names["two"]}
        data, failures, _ = self.query(person, None, query, **ids, **more)
        for name, place in (("one", self.places[where]), ("two", self.places[other])):
            role = place.roles.get(person)
            status = 404 if role is None else 403 if role == "member" else None
            assert failures.get(name) == status
            self.expect_secrecy(str(data[name]), [place])
            if status is None:
                assert data[name]["name"] == names[name]
                place.secrets.add(names[name])

    @rule(person=people, last=st.booleans())
    def look_at_all_own_tenants(self, person: int, *, last: bool) -> None:
        """The members and invitations of each, read together."""
        size = "last: 50" if last else "first: 50"
        query = filled(
            """{
          tenants([size]) {
            nodes {
              tenant {
                uuid name
                members([size]) { nodes { userId role } totalCount }
                invitations([size]) { nodes { uuid email } totalCount }
              }
            }
          }
        }""",
            size=size,
        )
        data, failures, text = self.query(person, None, query)
        own = {place.id: place for place in self.places if person in place.roles}
        shown = {each["tenant"]["uuid"]: each["tenant"] for each in data["tenants"]["nodes"]}
        assert shown.keys() == own.keys()
        assert set(failures.values()) <= {403}
        self.expect_secrecy(text, own.values())
        for id, tenant in shown.items():
            place = own[id]
            self.expect_secrecy(str(tenant), [place])
            found = {uuid_in(e["userId"]): e["role"].lower() for e in tenant["members"]["nodes"]}
            assert found == {self.ids[number]: role for number, role in place.roles.items()}
            assert tenant["members"]["totalCount"] == len(found)
            if place.roles[person] == "member":
                assert tenant["invitations"] is None
            else:
                invited = {each["uuid"] for each in tenant["invitations"]["nodes"]}
                assert invited == place.invitations.keys()
                assert tenant["invitations"]["totalCount"] == len(invited)

    @rule(person=people, part=st.sampled_from(["members", "invitations"]))
    def look_at_all_tenants(self, person: int, part: str) -> None:
        query = filled(
            "{ allTenants(first: 100) { nodes { name [part](first: 9) { totalCount } } } }",
            part=part,
        )
        data, failures, text = self.query(person, None, query)
        assert (data, failures) == ({"allTenants": None}, {"allTenants": 403})
        self.expect_secrecy(text, [])


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.usefixtures("emptied")
def test_no_sequence_of_requests_reaches_another_tenant(settings: Settings) -> None:
    run(GraphQLIsolation, settings)
