"""How long a failed login takes for a known and for an unknown address: nobody may tell them apart.

Bakes a service, serves it on loopback over its built-in database, and asks it in turns. Prints the
medians in milliseconds, their ratio, and what half of the answers differ by anyway.
"""

import argparse
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import httpx2

ROOT = Path(__file__).parent.parent
PASSWORD = "correct horse battery staple"
KNOWN, UNKNOWN = "known@example.com", "unknown@example.com"


def environment(data: Path) -> dict[str, str]:
    """Without what this run sets for itself."""
    ours = {"VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "PYTHONPYCACHEPREFIX"}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return kept | {"DATA_DIR": str(data), "ADMIN_PASSWORD": PASSWORD, "LOG_LEVEL": "WARNING"}


def bake(folder: Path) -> Path:
    """A project of default answers, installed."""
    shutil.rmtree(folder, ignore_errors=True)
    cookiecutter = Path(sys.executable).with_name("cookiecutter")
    command = [cookiecutter, ROOT, "--no-input", "--output-dir", folder]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    project = folder / "acme-api"
    subprocess.run(["uv", "sync", "--quiet"], cwd=project, check=True, env=environment(folder))
    return project


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
    """The figures."""
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
    folder = ROOT / "build" / "bench"
    project = bake(folder)
    app, env = project / ".venv/bin/app", environment(folder / "data")
    subprocess.run([app, "db", "upgrade"], cwd=project, env=env, check=True)
    subprocess.run(
        [app, "users", "create-admin", "--email", KNOWN], cwd=project, env=env, check=True
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    base = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [app, "serve", "--host", "127.0.0.1", "--port", str(port)], cwd=project, env=env
    )
    try:
        for _ in range(300):
            try:
                if httpx2.get(f"{base}/health/ready", trust_env=False).status_code == 200:
                    break
            except httpx2.TransportError:
                pass
            time.sleep(0.1)
        report(measure(base, rounds))
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


if __name__ == "__main__":
    main()
