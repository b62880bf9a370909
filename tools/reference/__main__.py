"""Write the reference of the documentation from the code: `make reference`.

With `--check` it writes nothing and fails when a file differs.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile

from tools.reference import configuration, drawings, interfaces, options, problems, signals
from tools.reference.markup import Facts
from tools.reference.sources import ROOT

DOCS = ROOT / "docs"
CONFIGURATION = ROOT / "mkdocs.yml"
NAVIGATION = re.compile(r"(\n +# problems [^\n]*\n).*?( +# end of problems\n)", re.DOTALL)


def facts() -> Facts:
    """What the service says of itself, under its defaults and in a folder without `.env`."""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(ROOT / "build/house/bin/python"), "-m", "tools.reference.facts"]
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run(
            command, cwd=empty, env=environment, capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def files() -> dict[str, str]:
    """Every generated file, relative to the root."""
    found = facts()
    reference = {
        "options.md": options.options(found),
        "settings.md": configuration.settings(found),
        "cli.md": interfaces.commands(found),
        "http.md": interfaces.http(found),
        "metrics.md": signals.metrics(found),
        "events.md": signals.events(found),
        **{f"problems/{name}": text for name, text in problems.pages(found).items()},
    }
    drawn = {f"docs/drawings/{name}": text for name, text in drawings.drawings(found).items()}
    pages = {f"docs/reference/{name}": text for name, text in reference.items()}
    return {**pages, **drawn, CONFIGURATION.name: navigation(pages)}


def navigation(pages: dict[str, str]) -> str:
    """`mkdocs.yml`, with the pages of the problems."""
    paths = (path.removeprefix("docs/") for path in pages if "/problems/" in path)
    entries = sorted(path for path in paths if not path.endswith("index.md"))
    lines = "".join(f"          - {path}\n" for path in entries)
    return NAVIGATION.sub(
        lambda found: found[1] + lines + found[2], CONFIGURATION.read_text(encoding="utf-8")
    )


def stale(wanted: dict[str, str]) -> list[str]:
    """Generated files that are no longer generated."""
    there = [*DOCS.glob("reference/**/*.md"), *DOCS.glob("drawings/*.svg")]
    names = (path.relative_to(ROOT).as_posix() for path in there)
    return sorted(name for name in names if name not in wanted)


def main() -> int:
    """Write, or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare")
    check = parser.parse_args().check
    wanted = files()
    differing = stale(wanted)
    for name in differing if not check else ():
        (ROOT / name).unlink()
    for name, text in wanted.items():
        path = ROOT / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        differing.append(name)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    if check and differing:
        print(f"out of date with the code: {', '.join(differing)}: run `make reference`")
    return 1 if check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
