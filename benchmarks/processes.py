"""What a process and its descendants use."""

import os
import re
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """A process and its descendants."""
    found = [root]
    for pid in found:
        listed = Path(f"/proc/{pid}/task/{pid}/children")
        if listed.exists():
            found += [int(child) for child in listed.read_text().split()]
    return found


def cpu_seconds(root: int) -> float:
    """User and system time of this process and its descendants."""
    total = 0
    for pid in tree(root):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def memory(root: int) -> float:
    """Proportional memory of this process and its descendants, in MiB."""
    found = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in tree(root)]
    return sum(int(re.findall(r"^Pss: +(\d+)", text, re.M)[0]) for text in found) / 1024


def settle(root: int) -> None:
    """Wait until they do nothing: the first of several workers answers before the others have started."""
    used = 0.0
    while (now := cpu_seconds(root)) - used > 0.05:
        used = now
        time.sleep(0.5)
