"""How long a bake and an update take as a user runs them, without the time to import the engine.

Each is a process of its own: `python -m benchmarks.generation STEP TEMPLATE PROJECT` prints its seconds.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from cookiecutter.main import cookiecutter

from tests.template import ROOT, bake_with_copier, commit_all, environment
from tests.updates import RELEASES, released, replace_by_the_present, update_with_copier

STEPS = ("cookiecutter", "copier", "update")
PREVIOUS = [*RELEASES][-1]


def measure(rounds: int) -> Mapping[str, Sequence[float]]:
    """Seconds of each step; updates are from the previous release to the present."""
    found: dict[str, list[float]] = {step: [] for step in STEPS}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        template = released(PREVIOUS, folder / "template")
        old = bake_with_copier(template, folder / "old", {})
        commit_all(old, "Begin")
        replace_by_the_present(template)
        for number in range(rounds):
            for step in STEPS:
                project = folder / f"{step}-{number}"
                if step == "update":
                    shutil.copytree(old, project)
                found[step].append(seconds(step, template, project, home=folder))
                print(f"{step}: {found[step][-1]:.2f} s", flush=True)
    return found


def seconds(step: str, template: Path, project: Path, *, home: Path) -> float:
    """One step, without the settings of any user, and with the compiled files of this run."""
    command = [sys.executable, "-m", "benchmarks.generation", step, template, project]
    environ = environment(HOME=str(home), PYTHONPYCACHEPREFIX=str(ROOT / "build" / "pycache"))
    done = subprocess.run(command, cwd=ROOT, env=environ, check=True, stdout=subprocess.PIPE)
    return float(done.stdout.split()[-1])


def run(step: str, template: Path, project: Path) -> None:
    """The step itself."""
    if step == "cookiecutter":
        cookiecutter(str(template), no_input=True, output_dir=str(project))
    elif step == "copier":
        bake_with_copier(template, project, {})
    else:
        update_with_copier(project)


if __name__ == "__main__":
    began = time.perf_counter()
    run(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
    print(time.perf_counter() - began)
