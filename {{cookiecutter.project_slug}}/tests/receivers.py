"""Servers that keep what observability sends: a collector of traces, and Sentry."""

import gzip
import json
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Span:
    """A span, as exported."""

    name: str
    id: str
    trace_id: str
    parent_id: str
    kind: int
    failed: bool
    attributes: Mapping[str, object]


@dataclass
class Receiver:
    """An HTTP server that keeps what it is sent."""

    url: str
    received: list[Received] = field(default_factory=list[Received])

    @property
    def spans(self) -> list[Span]:
        """The spans of all requests."""
        found: list[Span] = []
        for each in self.received:
            if each.path != "/v1/traces":
                continue
            sent: Any = ExportTraceServiceRequest.FromString(each.body)
            for scope in (s for resource in sent.resource_spans for s in resource.scope_spans):
                found += [span_of(span) for span in scope.spans]
        return found

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events in all envelopes: in each, a line about it, then one about its item, and the item."""
        envelopes = [each.body.split(b"\n") for each in self.received if "envelope" in each.path]
        return [json.loads(lines[2]) for lines in envelopes]

    def named(self, name: str) -> Span:
        """The only span with this name."""
        (found,) = [each for each in self.spans if each.name == name]
        return found

    def under(self, parent: Span) -> list[str]:
        """The names of its children."""
        return [each.name for each in self.spans if each.parent_id == parent.id]


def span_of(span: Any) -> Span:  # noqa: ANN401, generated
    """What tests look at."""
    values = {each.key: each.value for each in span.attributes}
    return Span(
        name=span.name,
        id=span.span_id.hex(),
        trace_id=span.trace_id.hex(),
        parent_id=span.parent_span_id.hex(),
        kind=span.kind,
        failed=span.status.code == 2,
        attributes={
            key: getattr(value, value.WhichOneof("value")) for key, value in values.items()
        },
    )


@contextmanager
def receiving() -> Generator[Receiver]:
    """A server on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            receiver.received.append(Received(self.path, dict(self.headers), body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815, the library's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002, likewise
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for it."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
