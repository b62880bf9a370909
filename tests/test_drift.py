"""The date in `exclude-newer` decides what is installed, on any later day; `make drift` tests what is newer."""

import json
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Generator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from tests.combinations import largest
from tests.template import HOUSE, ROOT, Answers, edit, environment
from tools import drift

Generated = Callable[[Answers], Path]

PROJECT = (
    '[project]\nname = "app"\nversion = "0"\nrequires-python = ">=3.11"\ndependencies = ["tiny"]\n'
)
FILE = "tiny-{}-py3-none-any.whl"
DAY = timedelta(days=1)


class Index(ThreadingHTTPServer):
    """A package index with one package; its versions, each with its upload date, if it has one."""

    uploads: dict[str, datetime | None]

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}/simple"

    def listing(self) -> str:
        """The files of the package."""
        dates = self.uploads.items()
        files = [
            {"filename": FILE.format(version), "url": FILE.format(version), "hashes": {}}
            | {"core-metadata": True}
            | ({"upload-time": date.isoformat()} if date else {})
            for version, date in dates
        ]
        return json.dumps({"meta": {"api-version": "1.1"}, "name": "tiny", "files": files})


class Handler(BaseHTTPRequestHandler):
    """Answers uv, silently."""

    server: Index  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        """The listing, or the metadata of a file."""
        kind, body = "application/vnd.pypi.simple.v1+json", self.server.listing()
        if found := re.search(r"tiny-([\d.]+)-.*\.metadata$", self.path):
            kind, body = "text/plain", f"Metadata-Version: 2.1\nName: tiny\nVersion: {found[1]}\n"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def index() -> Generator[Index]:
    """An index on loopback."""
    with Index(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def project(generated: Generated, tmp_path: Path) -> Path:
    """A project with the uv settings of a generated one, and the index's package as its only dependency."""
    text = (generated({}) / "pyproject.toml").read_text(encoding="utf-8")
    settings = re.search(r"^\[tool\.uv\]\n.*?(?=^\[)", text, re.MULTILINE | re.DOTALL)
    assert settings
    (tmp_path / "pyproject.toml").write_text(PROJECT + settings[0], encoding="utf-8")
    return tmp_path


def date_of(project: Path) -> datetime:
    """Its `exclude-newer`."""
    text = (project / "pyproject.toml").read_text(encoding="utf-8")
    return datetime.fromisoformat(tomllib.loads(text)["tool"]["uv"]["exclude-newer"])


def lock(project: Path, index: Index, **environ: str) -> str:
    """The version in a new lock, or the error."""
    (project / "uv.lock").unlink(missing_ok=True)
    done = subprocess.run(
        ["uv", "lock"],
        cwd=project,
        env=environment(UV_DEFAULT_INDEX=index.url, UV_NO_CACHE="1", **environ),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return done.stderr
    packages = tomllib.loads((project / "uv.lock").read_text(encoding="utf-8"))["package"]
    return next(package["version"] for package in packages if package["name"] == "tiny")


def test_later_uploads_change_nothing(project: Path, index: Index) -> None:
    date = date_of(project)
    index.uploads = {"1.0": date - DAY}
    assert lock(project, index) == "1.0"

    index.uploads["2.0"] = date + DAY

    assert lock(project, index) == "1.0"
    assert lock(project, index, UV_EXCLUDE_NEWER="false") == "2.0", "as `make drift` does"


def test_an_index_without_upload_dates_needs_the_documented_remedy(
    project: Path, index: Index
) -> None:
    index.uploads = {"1.0": None}
    readme = " ".join((HOUSE / "README.md").read_text(encoding="utf-8").split())
    (line,) = re.findall("^exclude-newer.*\n", (project / "pyproject.toml").read_text(), re.M)

    assert "is missing an upload date" in lock(project, index)
    assert "`is missing an upload date`" in readme

    assert "UV_EXCLUDE_NEWER=false" in readme
    assert lock(project, index, UV_EXCLUDE_NEWER="false") == "1.0"

    edit(project / "pyproject.toml", line, "")
    assert lock(project, index) == "1.0"


@pytest.mark.parametrize("failing", [None, "3.12"])
def test_every_row_is_tried_and_one_failure_fails_all(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    failing: str | None,
) -> None:
    (tmp_path / "drift").mkdir()
    (tmp_path / "drift" / "yesterday.log").touch()

    def attempt(template: Path, python: str, resolution: str, database: str) -> drift.Row:
        assert (template / "cookiecutter.json").exists()
        result = "tests failed" if python == failing else drift.PASSED
        return drift.Row(python, drift.RESOLUTIONS[resolution], database, 7, "600", result)

    monkeypatch.setattr(drift, "FOLDER", tmp_path / "drift")
    monkeypatch.setattr(drift, "attempt", attempt)
    monkeypatch.setattr(drift, "oldest", lambda: "exclude-newer")
    monkeypatch.setattr(drift, "interpreter", lambda python: python in drift.claimed())
    monkeypatch.setattr(sys, "argv", ["drift"])

    assert drift.main() == (1 if failing else 0)

    printed = capsys.readouterr().out
    rows = re.findall(r"^3\.\d+  .*", printed, re.MULTILINE)
    assert len(rows) == len(drift.claimed()) * len(drift.RESOLUTIONS) * 2
    assert len([row for row in rows if row.endswith("tests failed")]) == (4 if failing else 0)
    assert not (tmp_path / "drift" / "yesterday.log").exists()
    assert "states another date" not in printed
    assert "not tested" not in printed


def test_what_is_asked_for_is_tried_and_a_wrong_date_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    tried: list[tuple[str, str, str]] = []

    def attempt(template: Path, *asked: str) -> drift.Row:
        tried.append((asked[0], asked[1], asked[2]))
        return drift.Row(asked[0], asked[1], asked[2], 7, "600", drift.PASSED)

    monkeypatch.setattr(drift, "FOLDER", tmp_path / "drift")
    monkeypatch.setattr(drift, "attempt", attempt)
    monkeypatch.setattr(drift, "oldest", lambda: "2001-02-03")
    monkeypatch.setattr(drift, "interpreter", lambda _: "")
    monkeypatch.setattr(sys, "argv", ["drift", "3.99", "/opt/python"])

    assert drift.main() == 1

    printed = capsys.readouterr().out
    assert [python for python, *_ in tried] == ["3.99"] * 4 + ["/opt/python"] * 4
    assert len(set(tried)) == 8
    assert printed.startswith("3.99 highest postgresql 7 600 passed\n")
    assert printed.endswith(
        "\n\nThe requirements resolve as of 2001-02-03 and later.\n"
        "CONTRIBUTING.md states another date.\n"
    )


def test_without_any_python_nothing_was_tested(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(drift, "FOLDER", tmp_path / "drift")
    monkeypatch.setattr(drift, "oldest", lambda: "exclude-newer")
    monkeypatch.setattr(drift, "interpreter", lambda _: "")
    monkeypatch.setattr(sys, "argv", ["drift"])

    assert drift.main() == 1

    missing = ", ".join(drift.claimed())
    assert capsys.readouterr().out.endswith(f"Not installed, and not tested: {missing}.\n")


def test_every_claimed_python_is_tested_and_no_other() -> None:
    claimed = drift.claimed()
    matrix = yaml.safe_load((ROOT / ".github/workflows/drift.yml").read_text(encoding="utf-8"))
    here = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert matrix["jobs"]["drift"]["strategy"]["matrix"]["python"] == claimed
    assert here["requires-python"] == drift.configuration()["project"]["requires-python"]
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert f"Python {claimed[0]} to {claimed[-1]}" in text, name


def test_the_image_and_the_workflow_use_one_of_them() -> None:
    for name in ("Dockerfile", ".github/workflows/ci.yml"):
        text = (HOUSE / name).read_text(encoding="utf-8")
        found = re.findall(r'(?:python:|python-version: ")(3\.\d+)', text)
        assert found
        assert set(found) <= set(drift.claimed()), name


class Machine:
    """What `attempt` needs of a machine: a Python, the template's engine, and commands that succeed or not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.folder = folder
        self.baked: list[tuple[Path, Path, Answers]] = []
        self.commands: list[list[str]] = []
        self.failing = ""
        monkeypatch.setattr(drift, "FOLDER", folder)
        monkeypatch.setattr(drift, "interpreter", lambda python: f"/usr/bin/{python}")
        monkeypatch.setattr(drift, "bake_with_copier", self.bake)
        monkeypatch.setattr(drift, "succeeds", self.succeeds)
        seconds = iter([100.5, 107.4])
        monkeypatch.setattr(drift.time, "monotonic", lambda: next(seconds))

    def bake(self, template: Path, target: Path, answers: Answers) -> Path:
        """Note it."""
        self.baked.append((template, target, answers))
        return target

    def succeeds(self, command: list[str], log: Path) -> bool:
        """Note it, and write down what pytest would say."""
        self.commands.append(command)
        with log.open("a", encoding="utf-8") as output:
            output.write("3 passed in a part\n12 passed in 5s\n" if "pytest" in command else "")
        return self.failing not in command


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    """A machine on which everything succeeds."""
    return Machine(monkeypatch, tmp_path)


def test_a_project_with_every_option_is_installed_and_tested(machine: Machine) -> None:
    template = machine.folder / "template"

    row = drift.attempt(template, "/opt/python3.13", "lowest-direct", "mysql")

    assert row == drift.Row("/opt/python3.13", "lowest", "mysql", 6, "12", "passed")
    project = machine.folder / "python3.13-lowest-mysql"
    answers = largest() | {"database": "mysql"}
    assert machine.baked == [(template, project, answers)]
    uv = ["uv", "--quiet", "--project", str(project), "--directory", str(project)]
    python = ["--python", "/usr/bin//opt/python3.13", "--resolution", "lowest-direct"]
    assert machine.commands == [
        [*uv, "sync", *python],
        [*uv, "run", "--no-sync", "pytest", "-q"],
    ]


@pytest.mark.parametrize(
    ("failing", "tests", "result", "steps"),
    [("sync", "", "installation failed", 1), ("pytest", "12", "tests failed", 2)],
)
def test_the_first_step_that_fails_is_the_result(
    machine: Machine, failing: str, tests: str, result: str, steps: int
) -> None:
    machine.failing = failing

    row = drift.attempt(machine.folder, "3.12", "highest", "postgresql")

    assert row == drift.Row("3.12", "newest", "postgresql", 6, tests, result)
    assert len(machine.commands) == steps


def test_a_python_that_is_not_installed_is_a_row_too(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift, "interpreter", lambda _: "")

    row = drift.attempt(machine.folder, "3.12", "highest", "mysql")

    assert row == drift.Row("3.12", "newest", "mysql", 0, "", "Python is not installed")
    assert machine.baked == []


def test_a_command_installs_without_a_date_and_its_last_lines_are_shown_if_it_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(drift, "TAIL", 2)
    log = tmp_path / "log"
    script = "import os, sys; print(os.environ['UV_EXCLUDE_NEWER'], flush=True); sys.exit({})"

    assert drift.succeeds([sys.executable, "-c", script.format(0)], log)
    assert capsys.readouterr().out == ""
    assert not drift.succeeds([sys.executable, "-c", script.format("'dé'")], log)

    assert log.read_text(encoding="utf-8") == "false\nfalse\ndé\n"
    assert capsys.readouterr().out == f"{log}:\nfalse\ndé\n"


@pytest.mark.parametrize(
    ("ago", "found"), [(-1, 0), (0, 0), (1, 1), (300, 300), (365, 365), (400, 365)]
)
def test_the_oldest_day_is_the_first_that_resolves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ago: int, found: int
) -> None:
    newest = datetime.fromisoformat(drift.configuration()["tool"]["uv"]["exclude-newer"])
    project = tmp_path / "oldest"

    def lock(command: list[str], **options: object) -> subprocess.CompletedProcess[bytes]:
        assert (project / "pyproject.toml").read_bytes() == (HOUSE / "pyproject.toml").read_bytes()
        assert command[:-1] == [*drift.uv(project), "lock", "--exclude-newer"]
        day = datetime.fromisoformat(command[-1])
        return subprocess.CompletedProcess(command, 0 if day >= newest - ago * DAY else 2)

    monkeypatch.setattr(drift, "FOLDER", tmp_path)
    monkeypatch.setattr(drift.subprocess, "run", lock)

    assert drift.oldest() == f"{newest - found * DAY:%Y-%m-%d}"


def test_a_python_is_found_by_its_version_or_path() -> None:
    here = Path(sys.base_prefix, "bin", "python3")

    assert Path(drift.interpreter(str(here))).samefile(here)
    assert drift.interpreter("3.99") == ""


def test_the_table_has_a_column_for_each_figure() -> None:
    rows = [
        drift.Row("3.12", "newest", "postgresql", 60, "613", "passed"),
        drift.Row("/opt/python3.14", "lowest", "mysql", 0, "", "Python is not installed"),
    ]

    assert drift.table(rows).splitlines() == [
        "python           versions  database    seconds  tests  result",
        "3.12             newest    postgresql  60       613    passed",
        "/opt/python3.14  lowest    mysql       0               Python is not installed",
    ]
