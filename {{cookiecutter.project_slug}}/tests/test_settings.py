"""Settings: their defaults are documented, and unfit ones are refused by name."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.cli import main
from app.core.db.dialects import DIALECTS, parse_url
from app.core.settings import Settings, get_settings
from app.installed import SETTINGS
from tests.databases import NO_FILE

DRIVER = DIALECTS[0].driver
SECRET = "0123456789abcdef" * 4
FIT = {
    "ENVIRONMENT": "production",
    "PUBLIC_URL": "https://app.example.com",
    "MAILER": "app.core.mail.smtp.SMTPMailer",
}
SCHEME = DIALECTS[0].schemes[-1]


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: object
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run_app(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    """Run the command `app` with these arguments and environment variables."""

    def run(*arguments: str, **environment: str) -> Result:
        monkeypatch.chdir(tmp_path)  # where there is no `.env`
        monkeypatch.setattr("sys.argv", ["app", *arguments])
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        with pytest.raises(SystemExit) as exit_info:
            main()
        get_settings.cache_clear()
        printed = capsys.readouterr()
        return Result(exit_info.value.code, printed.out, printed.err)

    return run


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
    url = f"{SCHEME}://app:hunter2@db.example/app"

    result = run_app("settings", "check", **FIT, DATABASE_URL=url, SECRET_KEY=SECRET)

    assert result.code == 0
    assert "db.example" in result.out
    assert "hunter2" not in result.out
    assert SECRET not in result.out


@pytest.mark.parametrize("secret", ["changeme", "change-me-" * 10, "x" * 64])
def test_production_refuses_a_secret_that_can_be_guessed(run_app: Run, secret: str) -> None:
    url = f"{SCHEME}://app:hunter2@db.example/app"

    result = run_app("settings", "check", **FIT, DATABASE_URL=url, SECRET_KEY=secret)

    assert result.code == 2
    assert "SECRET_KEY" in result.err
    assert secret not in result.err


def test_a_wrong_value_is_named_and_not_repeated(run_app: Run) -> None:
    result = run_app("settings", "check", DATABASE_POOL_SIZE="hunter2")

    assert result.code == 2
    assert result.err.startswith("settings: DATABASE_POOL_SIZE ")
    assert "hunter2" not in result.err


def test_a_database_url_is_read_as_providers_write_it() -> None:
    url = parse_url(f"{SCHEME}://app:secret@db.example/app")

    assert url is not None
    assert url.drivername == DRIVER
    assert parse_url("") is None


@pytest.mark.parametrize("url", ["oracle://db.example/app", "not a url"])
def test_a_database_url_that_cannot_work_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=DIALECTS[0].schemes[0]):
        parse_url(url)


def test_every_setting_is_in_the_example_file(project_root: Path) -> None:
    example = (project_root / ".env.example").read_text(encoding="utf-8")
    named = re.findall(r"^# ([A-Z_]+)=", example, re.MULTILINE)

    fields: list[str] = []
    for kind in SETTINGS:
        prefix = kind.model_config.get("env_prefix", "").lower()
        fields += [prefix + name for name in kind.model_fields]
    assert [name.lower() for name in named] == fields
