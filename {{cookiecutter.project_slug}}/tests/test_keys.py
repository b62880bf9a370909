"""Where the signing key comes from."""

from pathlib import Path

from pydantic import SecretStr

from app.core.security.keys import development_key, signing_keys
from app.core.settings import Environment, Settings


def test_the_key_of_development_survives_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "not there yet"

    keys = {development_key(folder, Environment.LOCAL) for _ in range(2)}

    assert [len(key) for key in keys] == [64]
    (path,) = folder.iterdir()
    assert path.stat().st_mode & 0o077 == 0


def test_elsewhere_a_key_is_of_one_process(tmp_path: Path) -> None:
    keys = {development_key(tmp_path, Environment.TEST) for _ in range(2)}

    assert [len(key) for key in keys] == [64, 64]
    assert list(tmp_path.iterdir()) == []


def test_the_previous_key_is_accepted_behind_the_current_one(settings: Settings) -> None:
    keys = {"secret_key": SecretStr("current"), "previous_secret_key": SecretStr("previous")}

    assert signing_keys(settings.model_copy(update=keys)) == ["current", "previous"]
