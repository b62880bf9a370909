"""Processes that are killed at a given step, which they cannot prevent."""

import json
import os
import signal
import subprocess
import sys
from inspect import isawaitable
from pathlib import Path
from typing import Any


def die_after(module: Any, name: str, calls: int = 1) -> None:  # noqa: ANN401, a module or a class
    """Kill this process as soon as the function has been called so many times."""
    act = getattr(module, name)
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        if done == calls:
            os.kill(os.getpid(), signal.SIGKILL)

    async def awaited(result: Any) -> Any:  # noqa: ANN401
        result = await result
        count()
        return result

    def last(*arguments: Any) -> Any:  # noqa: ANN401
        result = act(*arguments)
        if isawaitable(result):
            return awaited(result)
        count()
        return result

    setattr(module, name, last)


def killed(module: str, given: dict[str, Any], root: Path) -> None:
    """Run the module, which takes what it needs as JSON, until it is killed."""
    command = [sys.executable, "-m", module]
    done = subprocess.run(  # noqa: S603
        command, input=json.dumps(given), text=True, cwd=root, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
