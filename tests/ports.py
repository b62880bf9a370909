"""Ports for servers that tests start."""

import os
import secrets
import socket

# Systems give connections ports above this range: one of those may be taken before the server listens on it.
RANGE = range(20_000, 32_000)
given: set[int] = set()


def free_port() -> int:
    """A port on which nothing listens, and which this process was not given before."""
    while True:
        port = secrets.choice(RANGE)  # not a seeded one, which another run would draw as well
        with socket.socket() as free:
            # As servers do, so that connections which ended a moment ago don't hold it.
            if os.name == "posix":  # elsewhere it would find a port in use
                free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                free.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in given:
            given.add(port)
            return port
