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
    def attempt(template: Path, python: str, resolution: str, database: str) -> drift.Row:
        result = "tests failed" if python == failing else drift.PASSED
        return drift.Row(python, drift.RESOLUTIONS[resolution], database, 7, "600", result)

    monkeypatch.setattr(drift, "FOLDER", tmp_path / "drift")
    monkeypatch.setattr(drift, "attempt", attempt)
    monkeypatch.setattr(drift, "oldest", lambda: "exclude-newer")
    monkeypatch.setattr(drift, "interpreter", lambda python: f"/usr/bin/python{python}")
    monkeypatch.setattr(sys, "argv", ["drift"])

    assert drift.main() == (1 if failing else 0)

    printed = capsys.readouterr().out
    rows = re.findall(r"^3\.\d+  .*", printed, re.MULTILINE)
    assert len(rows) == len(drift.claimed()) * len(drift.RESOLUTIONS) * 2
    assert len([row for row in rows if row.endswith("tests failed")]) == (4 if failing else 0)


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
