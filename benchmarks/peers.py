"""What other templates cost, beside ours."""

import statistics
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.programs import Program
from benchmarks.tables import table
from benchmarks.wrk import ratio

SOURCE: Mapping[str, Any] = tomllib.loads(
    Path(__file__).with_name("peers.toml").read_text(encoding="utf-8")
)
WORKS = {
    "live": "liveness",
    "me": "caller's account",
    "page": "page of 20",
    "create": "create",
    "login": "sign in",
    "busy": "account while others sign in",
}


def section(floor: Program, default: Program, baked: Sequence[float]) -> list[str]:
    """The table of ours and theirs, each as ratio to the floor that was measured beside it."""
    header = ("template", *WORKS.values(), "memory", "start", "generation s", "remarks")
    theirs = [peer_row(each) for each in SOURCE["peers"]]
    return [
        "## Other templates",
        "",
        f"Copied from `benchmarks/peers.toml`, not measured by `make bench`: {SOURCE['measured']}, {SOURCE['machine']}, {SOURCE['rounds']};"
        f" versions {SOURCE['versions']}. All but *generation* are ratios to the floor of the same run. Their memory is resident, ours proportional.",
        "",
        *table(header, [our_row(floor, default, baked), *theirs]),
    ]


def our_row(floor: Program, default: Program, baked: Sequence[float]) -> list[str]:
    """The default service, as measured now."""
    memory = statistics.median(default.memory) / statistics.median(floor.memory)
    start = statistics.median(default.start) / statistics.median(floor.start)
    return [
        "**this one**",
        *(f"{ratio(default.samples[key], floor.samples[key]):.2f}" for key in WORKS),
        *(f"{memory:.2f}", f"{start:.2f}", f"{statistics.median(baked):.1f}"),
        "the default service above; its page also checks the caller's permission",
    ]


def peer_row(peer: Mapping[str, Any]) -> list[str]:
    """A peer, by what is known of it."""
    memory = f"{peer['memory'] / SOURCE['floor']['memory']:.2f}" if "memory" in peer else ""
    return [
        peer["name"],
        *(f"{peer[key]:.2f}" if key in peer else "" for key in WORKS),
        memory,
        f"{peer['start']:.2f}" if "start" in peer else "",
        f"{peer['generation']:.1f}" if "generation" in peer else "",
        peer.get("note", ""),
    ]
