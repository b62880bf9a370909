"""What a developer of a generated service relies on, besides its tests."""

import re
import zipfile
from pathlib import Path

import httpx2

from tests.ports import free_port
from tests.processes import running, until, wait_for
from tests.template import bake_with_cookiecutter, edit, run


def test_a_change_of_the_code_is_served_at_once(template: Path, tmp_path: Path) -> None:
    """And files written beside the code, by the database or an installation, trigger no reload."""
    answers = {"database": "mysql", "include_example": False}  # on a file, which starts at once
    project = bake_with_cookiecutter(template, tmp_path, answers)
    run("uv", "sync", "--quiet", cwd=project)
    app, port, log = project / ".venv/bin/app", free_port(), tmp_path / "log"
    base = f"http://127.0.0.1:{port}"

    def title() -> str:
        try:
            return httpx2.get(f"{base}/api/v1/openapi.json").json()["info"]["title"]
        except httpx2.TransportError:
            return ""

    with running(app, "dev", "--port", str(port), cwd=project, log=log):
        wait_for(f"{base}/health/ready", 200)
        assert title() == "Acme API"
        for folder in (project / ".data", project / ".venv", project):
            (folder / "stray.py").write_text("raise SystemExit\n")
        edit(project / "app/main.py", "title=settings.project_name", 'title="Changed"')
        until(lambda: title() == "Changed")

    said = log.read_text()
    assert "using WatchFiles" in said
    assert "watchfiles.main" not in said  # it would note the caches that Python writes too
    assert set(re.findall(r"detected changes in (.*)\. Reloading", said)) == {"'app/main.py'"}


def test_those_who_import_the_package_have_its_types(template: Path, tmp_path: Path) -> None:
    project = bake_with_cookiecutter(template, tmp_path, {})
    run("uv", "build", "--quiet", "--wheel", "--out-dir", tmp_path, cwd=project)

    (wheel,) = tmp_path.glob("*.whl")
    assert "app/py.typed" in zipfile.ZipFile(wheel).namelist()
