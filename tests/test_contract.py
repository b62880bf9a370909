"""A baked service fulfills its OpenAPI document, whatever it is sent."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from tests.ports import free_port
from tests.processes import running, wait_for
from tests.template import ROOT, Answers, run
from tests.test_service import make_admin, sign_in

Installed = Callable[[Answers], Path]

# The checks of what a server accepts and refuses, compared with the document. The others require that any
# change can be undone.
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
    "missing_required_header",
]


# One caller makes all of its requests.
KINDS = ("LOGIN", "MAIL")
LIMITED = ["ADDRESS", "USER", "TENANT", "TOKEN_ADDRESS"]
LIMITED += [f"{kind}_{each}" for kind in KINDS for each in ("ADDRESS", "ACCOUNT", "ANYWHERE")]
UNLIMITED = {f"LIMITS_{each}": "off" for each in LIMITED}


@pytest.mark.parametrize(("database", "multi_tenancy"), [("postgresql", "row"), ("mysql", "none")])
@pytest.mark.xdist_group("contract")
def test_schemathesis_finds_nothing(
    installed: Installed, tmp_path: Path, database: str, multi_tenancy: str
) -> None:
    project = installed(
        {"database": database, "include_example": True, "multi_tenancy": multi_tenancy}
    )
    app = project / ".venv/bin/app"
    data = {"DATA_DIR": str(tmp_path / "sp ace" / "ünï")} | UNLIMITED
    base = f"http://127.0.0.1:{(port := free_port())}"
    # Not `app dev`, whose demo administrator would let this one delete itself.
    run(app, "db", "upgrade", cwd=project, **data)
    make_admin(project, **data)
    with running(app, "serve", "--port", str(port), cwd=project, log=tmp_path / "log", **data):
        wait_for(f"{base}/health/ready", 200)
        headers = sign_in(base)
        done = run(
            project / ".venv/bin/schemathesis",
            *("--config-file", ROOT / "tests/contract.toml"),
            "run",
            f"{base}/api/v1/openapi.json",
            "--header",
            f"Authorization: {headers['Authorization']}",
            "--checks",
            ",".join(CHECKS),
            # They would end the session of the run itself.
            *("--exclude-path-regex", "/auth/(logout|logout-all|change-password|sessions/.*)$"),
            *("--max-examples", os.environ.get("SCHEMATHESIS_EXAMPLES", "15")),
            *("--seed", "1", "--workers", "1", "--no-color"),
            cwd=tmp_path,
            SCHEMATHESIS_HOOKS="tests.contract_hooks",
            PYTHONPATH=str(ROOT),
        )
        assert re.search(r"\d+ generated", done.stdout), done.stdout
        assert httpx2.get(f"{base}/health/ready").status_code == 200
        assert httpx2.get(f"{base}/api/v1/users/me", headers=headers).status_code == 200
