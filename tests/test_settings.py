"""Settings: one table, read once, refused whole where anything in it is wrong."""

from pathlib import Path

import pytest

from dandyroll.settings import SETTINGS, BadSetting, Settings


def test_defaults_hold_without_an_environment() -> None:
    settings = Settings.from_env({})
    assert settings == Settings()
    assert all(getattr(settings, setting.name) == setting.default for setting in SETTINGS)


def test_the_environment_sets_and_what_is_given_goes_before() -> None:
    environ = {"DANDYROLL_WORKERS": "3", "DANDYROLL_DATA_DIR": "/srv/pictures", "PATH": "/bin"}
    settings = Settings.from_env(environ, workers=4, public_url=None)
    assert (settings.workers, settings.data_dir) == (4, Path("/srv/pictures"))


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"DANDYROLL_WORKER": "3"}, "DANDYROLL_WORKER: no such setting"),
        ({"DANDYROLL_WORKERS": "many"}, "DANDYROLL_WORKERS: expected a whole number"),
        ({"DANDYROLL_WORKERS": "-1"}, "DANDYROLL_WORKERS: expected a number of at least 0"),
        ({"DANDYROLL_MAX_PIXELS": "0"}, "DANDYROLL_MAX_PIXELS: expected a number of at least 1"),
        ({"DANDYROLL_LOG_LEVEL": "loud"}, "DANDYROLL_LOG_LEVEL: expected one of debug, info"),
        ({"DANDYROLL_LOG_FORMAT": "xml"}, "DANDYROLL_LOG_FORMAT: expected one of auto, json, text"),
        ({"DANDYROLL_OTEL_ENDPOINT": "here:4318"}, "DANDYROLL_OTEL_ENDPOINT: expected a URL"),
    ],
)
def test_what_is_wrong_is_named(environ: dict[str, str], says: str) -> None:
    with pytest.raises(BadSetting, match=says):
        Settings.from_env(environ)


def test_every_setting_has_a_help_text() -> None:
    assert all(setting.help.endswith(".") for setting in SETTINGS)
