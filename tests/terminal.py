"""A command at a pseudo-terminal, answered as a person would: each reply follows the question that it answers."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.template import environment

ENTER, CLEAR, DOWN, INTERRUPT = "\r", "\x15", "\x1b[B", "\x03"
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")
WHERE = b"\x1b[6n"
"""The question where the cursor is, which a terminal answers."""


@dataclass(frozen=True)
class Session:
    """What a command left behind."""

    status: int
    output: str
    """With the sequences that move the cursor and set colors."""

    @property
    def text(self) -> str:
        """What it printed, without those."""
        return plain(self.output)


def plain(output: str) -> str:
    """Output without colors and movements of the cursor."""
    return ESCAPES.sub("", output).replace("\r", "")


@contextmanager
def terminal(rows: int, columns: int) -> Generator[tuple[int, int]]:
    """Both ends of a pseudo-terminal of this size."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    try:
        yield ours, theirs
    finally:
        os.close(ours)


def take_terminal() -> None:
    """Make the new process the one that Ctrl+C interrupts; in the background, shells have it ignore that."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def converse(
    *command: str | Path,
    replies: Sequence[tuple[str, str]],
    cwd: Path,
    columns: int = 200,
    seconds: float = 180,
    **environ: str,
) -> Session:
    """Run it, and send each reply once the text that it answers is printed, after the reply before."""
    variables = environment(PWD=str(cwd), TERM="xterm-256color", **environ)
    with terminal(50, columns) as (ours, theirs):
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env=variables,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=take_terminal,  # noqa: PLW1509, this process has no threads
        )
        os.close(theirs)
        try:
            output = answered(ours, list(replies), time.monotonic() + seconds)
            return Session(process.wait(seconds), output)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def answered(ours: int, replies: list[tuple[str, str]], deadline: float) -> str:
    """Everything that was printed until the command ended."""
    said, seen, located = b"", 0, 0
    while time.monotonic() < deadline:
        if not select.select([ours], [], [], 0.5)[0]:
            continue
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # Linux reports the end of the other side as an error
            chunk = b""
        if not chunk:
            assert not replies, f"it never asked {replies[0][0]!r}:\n{said.decode()}"
            return said.decode()
        said += chunk
        if WHERE in said[located:]:
            os.write(ours, b"\x1b[1;1R")
            located = len(said)
        if replies and replies[0][0] in plain(said[seen:].decode(errors="replace")):
            os.write(ours, replies.pop(0)[1].encode())
            seen = len(said)
    raise AssertionError(f"it did not end, with {replies} left:\n{said.decode(errors='replace')}")
