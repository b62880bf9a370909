"""Settings: their defaults are documented, and unfit ones are refused by name."""

import re
import socket
import sys
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import URL

from app.core.configuration import variable
from app.core.db.dialects import DIALECTS, parse_url
from app.core.settings import Settings
from app.installed import SETTINGS
from tests.commands import Run
from tests.databases import NO_FILE

DRIVER = DIALECTS[0].driver
SCHEME = DIALECTS[0].schemes[-1]
SECRET = "fedcba9876543210f0e1d2c3b4a5968778695a4b3c2d1e0f"
FIT = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": SECRET,
    "PUBLIC_URL": "https://app.example.com",
    "MAILER": "app.core.mail.smtp.SMTPMailer",
    "SMTP_URL": "smtp+starttls://app:hunter2@mail.example.com",
    "DATABASE_URL": f"{SCHEME}://app:hunter2@db.example/app",
    "CORS_ORIGINS": "https://app.example.com,https://xn--bcher-kva.example:8443,https://[::1]",
    "METRICS_TOKEN": SECRET,
}


def test_production_names_every_fault_at_once(run_app: Run) -> None:
    result = run_app("settings", "check", ENVIRONMENT="production", DEBUG="true", CORS_ORIGINS="*")

    assert result.code == 2
    assert result.out == ""
    assert [line.split()[1] for line in result.err.splitlines()] == [
        "SECRET_KEY",
        "PUBLIC_URL",
        "MAILER",
        "DATABASE_URL",
        "DEBUG",
        "CORS_ORIGINS",
    ]


def test_production_refuses_sqlite() -> None:
    with pytest.raises(ValidationError, match="SQLite"):
        Settings(environment="production", database_url="sqlite:///app.db", **NO_FILE)  # pyright: ignore[reportArgumentType]


def test_fit_settings_are_shown_without_secrets(run_app: Run) -> None:
    result = run_app("settings", "check", **FIT)

    assert (result.code, result.err) == (0, "")
    assert "db.example" in result.out
    assert "hunter2" not in result.out
    assert SECRET not in result.out


def test_each_value_is_shown_with_what_sets_it(run_app: Run, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "PREVIOUS_SECRET_KEY").write_text(other := token_hex(32))
    (secrets / "smtp_url").write_text("smtp://folder.example")
    (tmp_path / ".env").write_text("SMTP_URL=smtp://file.example\nLOG_LEVEL=ERROR\n")

    given = FIT | {"SMTP_URL": "smtp://here.example", "SECRETS_DIR": str(secrets)}
    result = run_app("settings", "check", **given)

    assert (result.code, result.err) == (0, "")
    told = dict(line.split(": ", 1) for line in result.out.splitlines() if line[:1] not in '{} "')
    assert told["SMTP_URL"] == f"environment, not .env or {secrets}"
    assert told["LOG_LEVEL"] == ".env"
    assert told["PREVIOUS_SECRET_KEY"] == str(secrets)
    defaults = told["defaults"].split(", ")
    assert "DEBUG" in defaults
    assert not {*defaults} & told.keys()
    assert other not in result.out


def test_replicas_are_shown_without_passwords(run_app: Run) -> None:
    urls = f"{SCHEME}://app:hunter2@one.example/app, {SCHEME}://app:hunter3@two.example/app"
    result = run_app("settings", "check", **FIT, DATABASE_REPLICA_URLS=urls)

    assert (result.code, result.err) == (0, "")
    assert "one.example" in result.out
    assert "two.example" in result.out
    assert "hunter" not in result.out


@pytest.mark.parametrize("environment", ["local", "production"])
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///app:hunter2.db", "does not name replicas of DATABASE_URL"),
        ("oracle://app:hunter2@one.example/app", "names oracle"),
        ("one.example:hunter2", "is not a database URL"),
    ],
)
def test_what_is_no_replica_is_refused(run_app: Run, environment: str, url: str, said: str) -> None:
    changes = {"ENVIRONMENT": environment, "DATABASE_REPLICA_URLS": f"{FIT['DATABASE_URL']},{url}"}
    result = run_app("settings", "check", **(FIT | changes))

    assert result.code == 2
    assert f"DATABASE_REPLICA_URLS {said}" in result.err
    assert "hunter2" not in result.err


def test_behind_a_pooler_migrations_need_the_database_itself(run_app: Run) -> None:
    refused = run_app("settings", "check", **FIT, DATABASE_POOLER="transaction")
    unknown = run_app("settings", "check", **FIT, DATABASE_POOLER="session")

    assert refused.code == unknown.code == 2
    assert "DATABASE_POOLER is set" in refused.err
    assert "DATABASE_POOLER" in unknown.err
    assert "hunter2" not in refused.err


def test_replicas_of_the_built_in_database_are_refused(run_app: Run) -> None:
    result = run_app("settings", "check", DATABASE_REPLICA_URLS=FIT["DATABASE_URL"])

    assert result.code == 2
    assert "DATABASE_REPLICA_URLS does not name replicas" in result.err


@pytest.mark.parametrize(
    "secret",
    [
        "changeme",
        "change-me-" * 10,
        "x" * 64,
        "0123456789abcdef" * 4,
        "f3a1c95b7d2e4068" * 2,
        "abcdefghijkl" * 5 + "abcde",
    ],
)
def test_production_refuses_a_secret_that_can_be_guessed(run_app: Run, secret: str) -> None:
    result = run_app("settings", "check", **(FIT | {"SECRET_KEY": secret}))

    assert result.code == 2
    assert "SECRET_KEY" in result.err
    assert secret not in result.err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SMTP_URL", "smtp://app:hunter2@mail.example.com"),
        ("PUBLIC_URL", "https://app:hunter2@app.example.com"),
        ("ISSUER", ""),
        ("AUDIENCE", " "),
        ("MAX_BODY_SIZE", str(100 * 1024**3)),
        ("TRUSTED_PROXIES", "10.0.0.1,*"),
        *[
            ("ALLOWED_HOSTS", f"api.example.com,{name}")
            for name in ("*", "https://example.com", "example.com:8000", "example.com/", "a.*.com")
        ],
        ("PREVIOUS_SECRET_KEY", "hunter2-" * 8),
        ("METRICS_TOKEN", "a" * 32),
        ("METRICS_TOKEN", "hunter2-" * 8),
        *[
            ("CORS_ORIGINS", f"https://app.example.com,{origin}")
            for origin in (
                "null",
                "http://app.example.com",
                "https://app.example.com/",
                "https://app.example.com/path",
                "https://*.example.com",
                "https://App.example.com",
                "https://app:hunter2@example.com",
                "https://app.example.com:443",
                "app.example.com",
            )
        ],
    ],
)
def test_production_refuses_what_is_unsafe(run_app: Run, name: str, value: str) -> None:
    result = run_app("settings", "check", **(FIT | {name: value}))

    assert result.code == 2
    (fault,) = result.err.splitlines()
    assert name in fault
    assert "hunter2" not in fault


@pytest.mark.parametrize("environment", ["local", "production"])
@pytest.mark.parametrize("folder", ["missing", "file", "/proc"])
def test_an_archive_that_cannot_be_written_to_is_refused(
    run_app: Run, tmp_path: Path, environment: str, folder: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "archive").mkdir()
    given = FIT | {"ENVIRONMENT": environment}

    assert run_app("settings", "check", **given, ARCHIVE_DIR="archive").code == 0
    assert run_app("settings", "check", **given, ARCHIVE_DIR="").code == 0
    result = run_app("settings", "check", **given, ARCHIVE_DIR=folder)

    assert result.code == 2
    (fault,) = result.err.splitlines()
    assert fault.startswith("settings: ARCHIVE_DIR is not a folder that the service can write to")
    assert "create it, or mount a volume there" in fault
    assert list((tmp_path / "archive").iterdir()) == []


def test_the_faults_of_features_are_named_with_the_others(run_app: Run) -> None:
    result = run_app(
        "settings",
        "check",
        **(FIT | {"DEBUG": "true", "METRICS_TOKEN": "a" * 32, "AUTH_RESET_MINUTES": "0"}),
    )

    assert result.code == 2
    assert [line.split()[1] for line in result.err.splitlines()] == [
        "DEBUG",
        "AUTH_RESET_MINUTES",
        "METRICS_TOKEN",
    ]


@pytest.mark.parametrize(
    ("variable", "value", "module", "extra"),
    [
        ("TRACING_ENDPOINT", "http://127.0.0.1:4318", "opentelemetry.exporter.otlp", "tracing"),
        ("SENTRY_DSN", "https://key@sentry.example.com/1", "sentry_sdk", "sentry"),
    ],
)
def test_a_setting_without_its_extra_names_the_command(
    run_app: Run,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    module: str,
    extra: str,
) -> None:
    for name in [module, *(each for each in sys.modules if each.startswith(f"{module}."))]:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, module, None)

    result = run_app("settings", "check", **FIT, **{variable: value})

    assert result.code == 2
    assert result.err == (
        f"settings: {variable} needs what is not installed: run `uv sync --extra {extra}`\n"
    )


def test_what_is_no_dsn_is_refused_without_repeating_it(run_app: Run) -> None:
    result = run_app("settings", "check", **FIT, SENTRY_DSN="https://hunter2@")

    assert (result.code, "hunter2" in result.err) == (2, False)
    assert result.err.startswith("settings: SENTRY_DSN is not the DSN of a project")


def test_a_misspelled_name_in_the_file_is_told_with_the_right_one(
    run_app: Run, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(
        "DATABSE_URL=x\nauth_sesion_days=3\nAUDIT_DAY=3\nAUTH_VERIFICATION_MINUTES=3\nSECRETKEY=x\n"
    )

    result = run_app("settings", "check")

    assert result.code == 2
    assert result.err.splitlines() == [
        f"settings: {name} in .env is not a setting: did you mean {meant}?"
        for name, meant in [
            ("AUDIT_DAY", "AUDIT_DAYS"),
            ("AUTH_SESION_DAYS", "AUTH_SESSION_DAYS"),
            ("AUTH_VERIFICATION_MINUTES", "AUTH_VERIFICATION_HOURS"),
            ("DATABSE_URL", "DATABASE_URL"),
            ("SECRETKEY", "SECRET_KEY"),
        ]
    ]


def test_what_belongs_to_others_is_left_alone(
    run_app: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = (
        "COMPOSE_PROJECT_NAME EDITOR USER PATH DATABASE_USER DATABASE_PASSWORD TEST_DATABASE_URL"
    )
    names += " ADMIN_PASSWORD AUTH_SECRET AUTH0_DOMAIN SMTP_HOST LOG_FILE TZ PORT SECRET_KEY_BASE"
    (tmp_path / ".env").write_text("\n".join(f"{name}=x" for name in names.split()))
    for name in [*names.split(), "METRICS_PORT", "JOBS_SERVICE_HOST"]:
        monkeypatch.setenv(name, "x")

    assert run_app("settings", "check").err == ""


def test_a_misspelled_name_in_the_environment_is_a_warning(run_app: Run) -> None:
    result = run_app("settings", "check", DATABSE_URL="x")

    assert result.code == 0
    assert "DATABSE_URL is not a setting: did you mean DATABASE_URL?" in result.err


def refused_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


CREATE_ADMIN = ("users", "create-admin", "--email", "a@example.com", "--password", SECRET)


@pytest.mark.parametrize("command", [("db", "upgrade"), CREATE_ADMIN, ("jobs", "failed")], ids=str)
def test_a_database_that_is_away_is_told_on_one_line(
    run_app: Run, command: tuple[str, ...]
) -> None:
    port = refused_port()

    result = run_app(*command, DATABASE_URL=f"{SCHEME}://app:hunter2@127.0.0.1:{port}/app")

    assert result.code == 1
    assert re.fullmatch(
        rf"error: DATABASE_URL: 127.0.0.1:{port} cannot be reached \(.*\): .*\n", result.err
    )
    assert "hunter2" not in result.err


def test_the_owner_s_variable_is_named_when_migrations_use_it(run_app: Run) -> None:
    url = f"{SCHEME}://app:hunter2@127.0.0.1:{refused_port()}/app"

    result = run_app("db", "upgrade", DATABASE_URL=FIT["DATABASE_URL"], MIGRATION_DATABASE_URL=url)

    assert result.err.startswith("error: MIGRATION_DATABASE_URL: ")


@pytest.fixture
def server(settings: Settings) -> URL:
    """The server of the tests."""
    assert settings.database_url
    if settings.database_url.get_backend_name() == "sqlite":
        pytest.skip("a file has no logins and no databases")
    return settings.database_url


@pytest.mark.parametrize("command", [("db", "upgrade"), CREATE_ADMIN], ids=str)
@pytest.mark.parametrize("wrong", ["not_there", "no_one:hunter2"])
def test_what_the_server_refuses_is_told_on_one_line(
    run_app: Run, server: URL, command: tuple[str, ...], wrong: str
) -> None:
    user, _, password = wrong.partition(":")
    url = server.set(username=user, password=password) if password else server.set(database=wrong)

    result = run_app(*command, DATABASE_URL=url.render_as_string(False))

    assert result.code == 1
    assert re.fullmatch(rf"error: DATABASE_URL: .*{user}.*: .*correct .*\n", result.err)
    assert "hunter2" not in result.err


@pytest.mark.parametrize(
    ("name", "fit", "unfit"),
    [
        ("log_level", ["DEBUG", "ERROR"], ["debug", "TRACE"]),
        ("public_url", ["https://example.com/app"], ["example.com", "https://example.com/?a=1"]),
        ("service_url", ["http://127.0.0.1:1"], ["127.0.0.1:8000", "http://a b", "http://a/#b"]),
        ("database_role", ["", "app_2", "x" * 63], ["App", "app-role", 'x"; --', "x" * 64]),
        ("database_pool_size", [1, 1000], [0, 1001]),
        ("database_timeout", [0.1, 600], [0, 601]),
        ("job_concurrency", [1, 1000], [0, 1001]),
        ("job_poll_seconds", [0.1, 3600], [0, 3601]),
        ("hsts_seconds", [0], [-1]),
        ("max_body_size", [1], [0]),
        ("request_timeout", [0.1, 3600], [0, 3601]),
        ("shutdown_timeout", [0], [-1]),
        ("worker_timeout", [1], [0]),
    ],
)
def test_a_value_out_of_range_is_refused(name: str, fit: list[Any], unfit: list[Any]) -> None:
    for value in fit:
        assert getattr(Settings(**{**NO_FILE, name: value}), name) == value
    for value in unfit:
        with pytest.raises(ValidationError, match=name):
            Settings(**{**NO_FILE, name: value})


def test_a_database_url_is_read_as_providers_write_it() -> None:
    url = parse_url(f"{SCHEME}://app:secret@db.example/app")

    assert url is not None
    assert url.drivername == DRIVER
    assert parse_url(url) is url
    assert parse_url("") is None


@pytest.mark.parametrize(
    "url", ["oracle://db.example/app", "not a url", f"{SCHEME}://app:x@db.example:hunter2/app"]
)
def test_a_database_url_that_cannot_work_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=DIALECTS[0].schemes[0]) as refusal:
        parse_url(url)
    assert "hunter2" not in str(refusal.value)


def test_a_database_that_is_not_supported_is_told_which_are() -> None:
    supported = " and ".join(dialect.schemes[0] for dialect in DIALECTS)

    with pytest.raises(ValueError, match=f"names oracle, but this service supports {supported}$"):
        parse_url("oracle://db.example/app")


def test_a_password_that_ends_at_its_own_at_sign_is_not_taken_for_the_host() -> None:
    with pytest.raises(ValueError, match="%40") as refusal:
        parse_url(f"{SCHEME}://app:x@hunter2@db.example/app")
    assert "hunter2" not in str(refusal.value)


def documented(project_root: Path) -> list[tuple[str, str]]:
    """The variables and values in the example file."""
    example = (project_root / ".env.example").read_text(encoding="utf-8")
    return re.findall(r"^# ([A-Z][A-Z0-9_]*)=(.*)$", example, re.MULTILINE)


def test_every_setting_is_in_the_example_file(project_root: Path) -> None:
    fields = [variable(kind, field) for kind in SETTINGS for field in kind.model_fields]

    assert [name for name, _ in documented(project_root)] == fields


def test_the_example_file_says_the_defaults(
    project_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read as an `.env`, it changes nothing; empty values mean off or empty."""
    example = dict(documented(project_root))
    for name in example:
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "example"
    lines = [f"{name}={value}" for name, value in example.items() if value]
    file.write_text("\n".join(lines), encoding="utf-8")

    for kind in SETTINGS:
        told = kind(**{**NO_FILE, "_env_file": file}).model_dump()
        default = kind(**NO_FILE).model_dump()
        for field, value in default.items():
            name = variable(kind, field)
            assert told[field] == value, name
            assert example[name] or not value, name
