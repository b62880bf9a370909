"""A state machine of tenants and users, with any known id wherever an id fits.

It compares every response with a model of ownership. `ISOLATION_STEPS` sets the number of steps.
"""

import asyncio
import os
import re
from collections.abc import Collection, Coroutine, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar
from uuid import uuid4

from fastapi import FastAPI
from httpx2 import AsyncClient
from hypothesis import HealthCheck, Phase, note, settings as hypothesis_settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import select

from app.core.db.engine import create_engine
from app.core.db.session import Database, unit_of_work
from app.core.settings import Settings
from app.core.tenancy import within
from app.features import users
from app.features.audit.models import AuditEvent
from app.features.products.models import Product
from app.features.tenants.models import Membership, Tenant
from app.installed import JOBS
from app.main import create_app
from conftest import PASSWORD, client_of, passwords, utc_now
from tests.inline import SENT, InlineQueue, database_of

PRODUCTS, TENANTS = "/api/v1/products", "/api/v1/tenants"
STEPS = 50
"""The number of steps of one run."""
Result = TypeVar("Result")


@dataclass
class Place:
    """A tenant, as the model knows it."""

    id: str
    roles: dict[int, str]
    """The role of each user in it, by their number."""
    products: dict[str, str] = field(default_factory=dict[str, str])
    """Id by SKU."""
    prices: dict[str, int] = field(default_factory=dict[str, int])
    """By id, of everything ever added; a deleted item keeps its last one."""
    invitations: dict[str, tuple[str, str, str]] = field(
        default_factory=dict[str, tuple[str, str, str]]
    )
    """Address, role and token by id."""
    secrets: set[str] = field(default_factory=set[str])
    """What may be seen within it only."""


class Answer(Protocol):
    """A response, whichever interface it is of, as REST would give it."""

    @property
    def status_code(self) -> int: ...

    @property
    def text(self) -> str: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    def json(self) -> Any: ...  # noqa: ANN401


@dataclass
class World:
    """The service, and signed-in users."""

    loop: asyncio.AbstractEventLoop
    app: FastAPI
    settings: Settings
    database: Database

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.loop.run_until_complete(work)


@contextmanager
def new_world(settings: Settings) -> Generator[World]:
    """On an event loop of its own, as the machine is no coroutine."""
    with asyncio.Runner() as runner:
        queue = InlineQueue(settings, JOBS)
        engine = create_engine(settings)
        database = database_of(engine, settings, queue)
        try:
            yield World(runner.get_loop(), create_app(settings), settings, database)
        finally:
            runner.run(engine.dispose())


async def new_person(world: World, email: str) -> tuple[AsyncClient, str]:
    """A signed-in user, and their id."""
    async with unit_of_work(world.database) as session:
        user = await users.add(
            session, email, await passwords.hash_password(PASSWORD), "", "member"
        )
        user.email_verified_at = utc_now()
    client = client_of(world.app, world.database, world.settings)
    form = {"username": email, "password": PASSWORD}
    tokens = (await client.post("/api/v1/auth/login", data=form)).json()
    client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    return client, str(user.id)


PEOPLE = range(6)
MEMBERS: list[dict[int, str]] = [
    {0: "owner", 1: "member", 5: "member"},
    {2: "owner", 3: "admin", 0: "member"},
    {4: "owner", 5: "admin", 2: "member"},
]
people = st.sampled_from(PEOPLE)
places = st.integers(0, len(MEMBERS) + len(PEOPLE) - 1)
anywhere = st.one_of(st.none(), places)
numbers = st.integers(0, 50)
skus = st.sampled_from(["TEA", "COFFEE", "MILK", "SUGAR", "BREAD", "SALT"])


class Isolation(RuleBasedStateMachine):
    """Three tenants whose users are members of one or two of them, and the personal tenants."""

    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        self.run = self.world.run
        self.mark = uuid4().hex[:12]
        self.emails = [f"{number}-{self.mark}@example.com" for number in PEOPLE]
        made = [self.run(new_person(self.world, email)) for email in self.emails]
        self.clients = [client for client, _ in made]
        self.ids = [user_id for _, user_id in made]
        self.cursors: list[tuple[int, dict[str, Any]]] = []
        self.places = [self.run(self.new_place(roles)) for roles in MEMBERS]
        self.places += [self.own_place(number) for number in PEOPLE]
        self.own = {number: len(MEMBERS) + number for number in PEOPLE}

    async def new_place(self, roles: dict[int, str]) -> Place:
        async with unit_of_work(self.world.database) as session:
            tenant = Tenant(name=f"secret {uuid4()}")
            session.add(tenant)
            await session.flush()
            for number, role in roles.items():
                user_id = self.ids[number]
                session.add(
                    Membership(tenant_id=tenant.id, user_id=type(tenant.id)(user_id), role=role)
                )
        return Place(str(tenant.id), dict(roles), secrets={tenant.name})

    def own_place(self, number: int) -> Place:
        found = self.run(self.clients[number].get(TENANTS)).json()["items"]
        own = next(each["tenant"]["id"] for each in found if each["tenant"]["personal_user_id"])
        return Place(own, {number: "owner"})

    # Requests, and who may see what of the responses.

    def ask(
        self,
        person: int,
        method: str,
        path: str,
        header: int | None = None,
        **options: Any,  # noqa: ANN401
    ) -> Answer:
        headers = {} if header is None else {"X-Tenant-ID": self.places[header].id}
        answer = self.run(self.send(self.clients[person], method, path, headers=headers, **options))
        note(f"{person} {method} {path} in {header}: {answer.status_code}")
        assert answer.status_code < 500, answer.text
        return answer

    async def send(
        self,
        client: AsyncClient,
        method: str,
        path: str,
        **options: Any,  # noqa: ANN401
    ) -> Answer:
        """The response to a request; other interfaces issue the same in their own way."""
        return await client.request(method, path, **options)

    def expect(self, answer: Answer, status: int, scope: Place | None) -> None:
        """Check the response against the model: nothing in it is from outside `scope`."""
        assert answer.status_code == status, answer.text
        self.expect_secrecy(answer.text + str(answer.headers), [] if scope is None else [scope])

    def expect_secrecy(self, shown: str, scopes: Collection[Place]) -> None:
        """Require that nothing in this text is from outside `scopes`."""
        for place in self.places:
            if not any(place is each for each in scopes):
                for secret in place.secrets:
                    assert secret not in shown

    def scope_of(self, person: int, header: int | None) -> Place | None:
        """The tenant that a request acts in, if it may."""
        place = self.places[self.own[person] if header is None else header]
        return place if person in place.roles else None

    def any_product(self, number: int) -> tuple[Place | None, str]:
        every = [(place, each) for place in self.places for each in place.products.values()]
        return every[number % len(every)] if every else (None, str(uuid4()))

    def any_invitation(self, number: int) -> tuple[Place | None, str]:
        every = [(place, each) for place in self.places for each in place.invitations]
        return every[number % len(every)] if every else (None, str(uuid4()))

    # Products.

    @rule(person=people, header=anywhere, sku=skus)
    def add_product(self, person: int, header: int | None, sku: str) -> None:
        secret = f"secret {uuid4()}"
        new = {"sku": sku, "name": secret, "price": 100}
        answer = self.ask(person, "POST", PRODUCTS, header, json=new)
        scope = self.scope_of(person, header)
        if scope is None:
            self.expect(answer, 404, None)
        elif scope.roles[person] == "member":
            self.expect(answer, 403, None)
        elif sku in scope.products:
            self.expect(answer, 409, None)
        else:
            self.expect(answer, 201, scope)
            scope.products[sku] = answer.json()["id"]
            scope.prices[answer.json()["id"]] = 100
            scope.secrets |= {secret, answer.json()["id"]}

    @rule(person=people, header=anywhere, number=numbers)
    def get_product(self, person: int, header: int | None, number: int) -> None:
        place, product_id = self.any_product(number)
        answer = self.ask(person, "GET", f"{PRODUCTS}/{product_id}", header)
        scope = self.scope_of(person, header)
        if scope is not None and scope is place:
            self.expect(answer, 200, scope)
        else:
            assert answer.status_code == 404
            words = answer.text.replace(product_id, "")  # it says what was asked for
            assert not any(secret in words for each in self.places for secret in each.secrets)

    def expect_as_for_writing(self, answer: Answer, person: int, where: Place | None) -> None:
        """Members of other tenants do not find it, and plain members may not."""
        role = where.roles[person] if where else None
        assert answer.status_code == (403 if role == "member" else 404), answer.text

    @rule(person=people, header=anywhere, number=numbers, sku=st.one_of(st.none(), skus))
    def change_product(self, person: int, header: int | None, number: int, sku: str | None) -> None:
        place, product_id = self.any_product(number)
        secret = f"secret {uuid4()}"
        wanted = {"name": secret} if sku is None else {"sku": sku}
        answer = self.ask(person, "PATCH", f"{PRODUCTS}/{product_id}", header, json=wanted)
        scope = self.scope_of(person, header)
        if scope is None or scope is not place or scope.roles[person] == "member":
            self.expect_as_for_writing(answer, person, scope)
        elif sku is None:
            self.expect(answer, 200, scope)
            scope.secrets.add(secret)
        elif scope.products.get(sku, product_id) != product_id:
            self.expect(answer, 409, None)
        else:
            self.expect(answer, 200, scope)
            others = {k: v for k, v in scope.products.items() if v != product_id}
            scope.products = {**others, sku: product_id}

    @rule(person=people, header=anywhere, number=numbers)
    def delete_product(self, person: int, header: int | None, number: int) -> None:
        place, product_id = self.any_product(number)
        answer = self.ask(person, "DELETE", f"{PRODUCTS}/{product_id}", header)
        scope = self.scope_of(person, header)
        if scope is None or scope is not place or scope.roles[person] == "member":
            self.expect_as_for_writing(answer, person, scope)
        else:
            self.expect(answer, 204, scope)
            scope.products = {k: v for k, v in scope.products.items() if v != product_id}

    @rule(person=people, header=anywhere, percent=st.integers(-50, 50))
    def change_prices(self, person: int, header: int | None, percent: int) -> None:
        """A job does it, for the requesting tenant."""
        wanted = {"currency": "EUR", "percent": percent}
        answer = self.ask(person, "POST", "/api/v1/price-changes", header, json=wanted)
        scope = self.scope_of(person, header)
        if scope is None or scope.roles[person] == "member":
            self.expect_as_for_writing(answer, person, scope)
            return
        self.expect(answer, 202, scope)
        for product_id in scope.products.values():
            scope.prices[product_id] = (scope.prices[product_id] * (100 + percent) + 50) // 100

    @rule(
        person=people,
        header=anywhere,
        query=st.fixed_dictionaries(
            {"limit": st.integers(1, 5), "with_total": st.just(value=True)},
            optional={
                "sort": st.sampled_from(["sku", "-price,name", "created_at"]),
                "name": st.sampled_from(["secret", "%", "x"]),
                "min_price": st.just(0),
            },
        ),
    )
    def list_products(self, person: int, header: int | None, query: dict[str, Any]) -> None:
        answer = self.ask(person, "GET", PRODUCTS, header, params=query)
        scope = self.scope_of(person, header)
        if scope is None:
            self.expect(answer, 404, None)
            return
        self.expect(answer, 200, scope)
        matching = 0 if query.get("name") in {"%", "x"} else len(scope.products)
        assert answer.json()["total"] == matching
        assert {each["id"] for each in answer.json()["items"]} <= set(scope.products.values())
        if cursor := answer.json()["next_cursor"]:
            self.cursors.append((self.places.index(scope), {**query, "cursor": cursor}))

    @rule(person=people, header=anywhere, number=numbers)
    def follow_any_cursor(self, person: int, header: int | None, number: int) -> None:
        if not self.cursors:
            return
        place, query = self.cursors[number % len(self.cursors)]
        answer = self.ask(person, "GET", PRODUCTS, header, params=query)
        scope = self.scope_of(person, header)
        if scope is None:
            self.expect(answer, 404, None)
        else:
            self.expect(answer, 200 if scope is self.places[place] else 422, scope)

    # Tenants, by path; the header may say something else.

    @rule(person=people, where=places, header=anywhere, part=st.sampled_from(["", "/members"]))
    def look_at_tenant(self, person: int, where: int, header: int | None, part: str) -> None:
        place = self.places[where]
        answer = self.ask(person, "GET", f"{TENANTS}/{place.id}{part}", header)
        if header not in {None, where}:
            self.expect(answer, 422, None)
        elif person not in place.roles:
            self.expect(answer, 404, None)
        else:
            self.expect(answer, 200, place)
            if part:
                found = {each["user_id"] for each in answer.json()["items"]}
                assert found == {self.ids[number] for number in place.roles}

    @rule(person=people, where=places)
    def rename_tenant(self, person: int, where: int) -> None:
        place, name = self.places[where], f"secret {uuid4().hex}"
        answer = self.ask(person, "PATCH", f"{TENANTS}/{place.id}", json={"name": name})
        role = place.roles.get(person)
        status = 404 if role is None else 403 if role == "member" else 200
        self.expect(answer, status, place)
        if status == 200:
            place.secrets.add(name)

    @rule(person=people, where=places)
    def read_audit_log(self, person: int, where: int) -> None:
        place = self.places[where]
        answer = self.ask(
            person, "GET", f"{TENANTS}/{place.id}/audit-events", params={"limit": 100}
        )
        role = place.roles.get(person)
        self.expect(answer, 404 if role is None else 403 if role == "member" else 200, place)
        if answer.status_code == 200:
            events = answer.json()["items"]
            assert {event["tenant_id"] for event in events} <= {place.id}
            place.secrets |= {event["id"] for event in events}

    @rule(person=people)
    def list_own_tenants(self, person: int) -> None:
        answer = self.ask(person, "GET", TENANTS, params={"limit": 100})
        found = {each["tenant"]["id"]: each["role"] for each in answer.json()["items"]}
        assert found == {
            place.id: place.roles[person] for place in self.places if person in place.roles
        }

    @rule(person=people, path=st.sampled_from(["/jobs", "/audit-events", "/users", "/roles"]))
    def look_at_the_service(self, person: int, path: str) -> None:
        self.expect(self.ask(person, "GET", f"/api/v1{path}"), 403, None)

    # Members and invitations.

    @rule(person=people, where=places, whom=people, role=st.sampled_from(["admin", "member"]))
    def invite(self, person: int, where: int, whom: int, role: str) -> None:
        place, email = self.places[where], self.emails[whom]
        url = f"{TENANTS}/{place.id}/invitations"
        answer = self.ask(person, "POST", url, json={"email": email, "role": role})
        own_role = place.roles.get(person)
        if own_role in {None, "member"}:
            self.expect(answer, 404 if own_role is None else 403, None)
        elif whom in place.roles:
            self.expect(answer, 409, None)
        else:
            self.expect(answer, 201, place)
            found = re.search(r"#token=([\w-]+)", SENT[-1].text)
            assert found
            assert SENT[-1].to == email
            open_ = {k: v for k, v in place.invitations.items() if v[0] != email}
            place.invitations = {**open_, answer.json()["id"]: (email, role, found[1])}
            place.secrets |= {answer.json()["id"], found[1]}

    @rule(person=people, where=places, number=numbers)
    def revoke(self, person: int, where: int, number: int) -> None:
        place, (owner, invitation_id) = self.places[where], self.any_invitation(number)
        url = f"{TENANTS}/{place.id}/invitations/{invitation_id}"
        answer = self.ask(person, "DELETE", url)
        role = place.roles.get(person)
        if role is None or (role != "member" and owner is not place):
            assert answer.status_code == 404
        elif role == "member":
            assert answer.status_code == 403
        else:
            assert answer.status_code == 204
            del place.invitations[invitation_id]

    @rule(person=people, number=numbers)
    def accept(self, person: int, number: int) -> None:
        place, invitation_id = self.any_invitation(number)
        if place is None:
            return
        email, role, token = place.invitations[invitation_id]
        answer = self.ask(person, "POST", "/api/v1/invitations/accept", json={"token": token})
        if email == self.emails[person]:
            self.expect(answer, 200, place)
            del place.invitations[invitation_id]
            place.roles[person] = role
        else:
            self.expect(answer, 422, None)

    @rule(person=people, where=places, whom=people)
    def remove_member(self, person: int, where: int, whom: int) -> None:
        place = self.places[where]
        answer = self.ask(person, "DELETE", f"{TENANTS}/{place.id}/members/{self.ids[whom]}")
        role, other = place.roles.get(person), place.roles.get(whom)
        if role in {None, "member"}:
            self.expect(answer, 404 if role is None else 403, None)
        elif other is None:
            self.expect(answer, 404, None)
        elif other == "owner":
            self.expect(answer, 409 if role == "owner" else 403, None)
        else:
            assert answer.status_code == 204
            del place.roles[whom]

    # The final content of the database is what the model says.

    @invariant()
    def nothing_is_lost(self) -> None:
        for place in self.places:
            assert len(place.products) == len(set(place.products.values()))

    def teardown(self) -> None:
        self.run(self.compare())
        for client in self.clients:
            self.run(client.aclose())

    async def compare(self) -> None:
        for place in self.places:
            tenant_id = type(uuid4())(place.id)
            with within(tenant_id):
                async with unit_of_work(self.world.database) as session:
                    rows = (await session.scalars(select(Product))).all()
                    assert {row.sku: str(row.id) for row in rows} == place.products
                    assert all(row.price == place.prices[str(row.id)] for row in rows)
                    events = await session.scalars(
                        select(AuditEvent).where(AuditEvent.action == "product.created")
                    )
                    found = {str(event.object_id) for event in events}
                    assert found == place.prices.keys()


def run(machine: type[Isolation], settings: Settings) -> None:
    """Run the machine over a service of these settings."""
    examples = max(1, int(os.environ.get("ISOLATION_STEPS", "500")) // STEPS)
    with new_world(settings) as world:
        machine.world = world
        run_state_machine_as_test(  # pyright: ignore[reportUnknownMemberType]
            machine,
            settings=hypothesis_settings(
                max_examples=examples,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                phases=[Phase.generate, Phase.shrink],
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
            ),
        )
