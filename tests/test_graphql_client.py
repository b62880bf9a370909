"""A GraphQL client that web applications use, against a generated service."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.template import ROOT, Answers, required, run
from tests.test_newcomer import developing

Installed = Callable[[Answers], Path]
PACKAGES = ["@urql/core@^6", "graphql@^16"]
SCRIPT = ROOT / "tests" / "graphql_client.mjs"
# Nothing but the packages themselves, and nothing of them is executed.
QUIETLY = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--prefer-offline"]


@pytest.mark.xdist_group("graphql-client")
def test_a_client_library_does_what_an_application_needs(
    installed: Installed, tmp_path: Path
) -> None:
    node = required(shutil.which("node"), "there is no Node.js")
    client = tmp_path / "client"
    client.mkdir()
    shutil.copy(SCRIPT, client)
    run("npm", "install", *QUIETLY, *PACKAGES, cwd=client)

    project = installed({"use_graphql": True})
    port, data = free_port(), {"DATA_DIR": str(tmp_path / "data")}
    command = [project / ".venv/bin/app", "dev", "--port", str(port)]
    with developing(*command, cwd=project, log=tmp_path / "log", port=port, **data) as service:
        email, password = service.credentials()
        done = run(
            node,
            SCRIPT.name,
            cwd=client,
            SERVICE_URL=service.base,
            EMAIL=email,
            PASSWORD=password,
        )
        assert done.stdout == "done\n"
        assert not re.search(r"\bstatus\W+5", service.console())
