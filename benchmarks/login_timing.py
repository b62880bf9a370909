"""The time of a failed login for a known and for an unknown address, which must be indistinguishable.

Bakes a service, serves it on loopback over its built-in database, and alternates requests. Prints the
medians in milliseconds, their ratio, and the interquartile ranges.
"""

import argparse
import random
import statistics
import time

import httpx2

from benchmarks.services import bake, command_in, serving

KNOWN, UNKNOWN = "known@example.com", "unknown@example.com"


def ask(client: httpx2.Client, email: str) -> float:
    """Milliseconds that one failed login takes."""
    form = {"username": email, "password": "not the password"}
    started = time.perf_counter()
    answer = client.post("/api/v1/auth/login", data=form)
    took = (time.perf_counter() - started) * 1000
    assert answer.status_code == 401, answer.text
    return took


def measure(base: str, rounds: int) -> dict[str, list[float]]:
    """`rounds` failed logins for each address, in a random order."""
    took: dict[str, list[float]] = {KNOWN: [], UNKNOWN: []}
    order = [KNOWN, UNKNOWN] * rounds
    random.shuffle(order)
    with httpx2.Client(base_url=base, trust_env=False, timeout=30) as client:
        for email in (KNOWN, UNKNOWN) * 5:
            ask(client, email)
        for email in order:
            took[email].append(ask(client, email))
    return took


def report(took: dict[str, list[float]]) -> None:
    """The results."""
    medians = {email: statistics.median(values) for email, values in took.items()}
    for email, values in took.items():
        low, _, high = statistics.quantiles(values, n=4)
        print(f"{email:22} median {medians[email]:7.2f} ms, half of them {low:.2f} to {high:.2f}")
    print(f"ratio known : unknown {medians[KNOWN] / medians[UNKNOWN]:.3f}")


def main() -> None:
    """Bake, serve, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    project = bake("login")
    command_in(project, "app", "users", "create-admin", "--email", KNOWN)
    with serving(project) as base:
        report(measure(base, rounds))


if __name__ == "__main__":
    main()
