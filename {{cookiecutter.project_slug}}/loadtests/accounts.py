"""Users who sign in and look at accounts, for Locust; `docs/operations.md` says how to run them."""

from urllib.parse import urlsplit

from locust import HttpUser, between, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.exception import StopUser

API = "/api/v1"
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@events.init_command_line_parser.add_listener
def add_options(parser: LocustArgumentParser) -> None:
    """Who signs in, and whether any host may be called."""
    parser.add_argument("--email", env_var="LOAD_EMAIL", default="load@example.com")
    parser.add_argument("--password", env_var="LOAD_PASSWORD", default="", is_secret=True)
    parser.add_argument("--anywhere", env_var="LOAD_ANYWHERE", action="store_true")


@events.init.add_listener
def refuse_other_hosts(environment: Environment, **_: object) -> None:
    """Call nothing but this machine, unless it is asked for."""
    options = environment.parsed_options
    if options and not options.anywhere and urlsplit(options.host or "").hostname not in LOOPBACK:
        raise SystemExit(f"{options.host} is not this machine: LOAD_ANYWHERE=true allows it")


class SignedIn(HttpUser):
    """A user with a session of its own, which it refreshes."""

    abstract = True
    wait_time = between(0.5, 1.5)
    refresh_token = ""

    def on_start(self) -> None:
        """Sign in."""
        options = self.environment.parsed_options
        assert options  # noqa: S101, they were parsed before the first user started
        form = {"username": options.email, "password": options.password}
        response = self.client.post(f"{API}/auth/login", data=form)
        if not response.ok:
            raise StopUser
        self.present(response.json())

    def present(self, tokens: dict[str, str]) -> None:
        """Use these tokens from now on."""
        self.client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
        self.refresh_token = tokens["refresh_token"]

    def on_stop(self) -> None:
        """Sign out."""
        self.client.post(f"{API}/auth/logout")

    @task(1)
    def refresh(self) -> None:
        """Replace the tokens before they expire."""
        body = {"refresh_token": self.refresh_token}
        response = self.client.post(f"{API}/auth/refresh", json=body)
        if response.ok:
            self.present(response.json())

    def read_pages(self, path: str, pages: int = 2) -> None:
        """Read a list from its beginning."""
        query = {"limit": "50"}
        for _ in range(pages):
            response = self.client.get(f"{API}{path}", params=query, name=f"{API}{path}")
            cursor = response.json()["next_cursor"] if response.ok else None
            if cursor is None:
                break
            query["cursor"] = cursor


class Administrator(SignedIn):
    """An administrator who looks at accounts."""

    @task(10)
    def read_me(self) -> None:
        """Read the own account."""
        self.client.get(f"{API}/users/me")

    @task(3)
    def list_users(self) -> None:
        """List the accounts."""
        self.read_pages("/users")

    @task(3)
    def list_audit_events(self) -> None:
        """List what was done."""
        self.read_pages("/audit-events")
