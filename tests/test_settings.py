"""Settings: one table, read once, refused whole where anything in it is wrong."""

from pathlib import Path

import pytest

from dandyroll.settings import SETTINGS, BadSetting, Settings, SettingsFile


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


def test_a_file_comes_first_then_the_environment_then_the_command_line() -> None:
    file = SettingsFile(Path("/etc/d.toml"), 'workers = 2\nport = 9000\nhost = "::1"\n')
    settings = Settings.from_env({"DANDYROLL_PORT": "9001"}, file, host="127.0.0.2")
    assert (settings.workers, settings.port, settings.host) == (2, 9001, "127.0.0.2")


def test_paths_in_a_file_are_taken_from_its_folder() -> None:
    text = 'tls_cert = "a.pem"\ntls_key = "/b.pem"\ndata_dir = ""\n'
    settings = Settings.from_env({}, SettingsFile(Path("/etc/d/d.toml"), text))
    assert (settings.tls_cert, settings.tls_key) == (Path("/etc/d/a.pem"), Path("/b.pem"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("# ours\nprot = 1", "d.toml, line 2: prot: no such setting. Did you mean port?"),
        ("\n[server]\nport = 1", "d.toml, line 2: server: expected no sections"),
        ('"port" = true', "d.toml, line 1: port: expected a whole number; got True"),
        ("port = 1.5", "d.toml, line 1: port: expected a whole number; got 1.5"),
        ("a = 1\nport = 70000", "line 1: a: no such setting"),
        ("port = 70000", "line 1: port: expected a number of at most 65535; got 70000"),
        ("workers = 1\nsweep_every_s = 0", "line 2: sweep_every_s: expected a number of at least"),
        ('allow_plain_http = "yes"', "line 1: allow_plain_http: expected true or false"),
        ("data_dir = 3", "line 1: data_dir: expected a path; got 3"),
        ("port = \n", "d.toml: expected TOML; .*line 1"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_its_line(text: str, says: str) -> None:
    with pytest.raises(BadSetting, match=says):
        Settings.from_env({"DANDYROLL_PORT": "1"}, SettingsFile(Path("d.toml"), text))


@pytest.mark.parametrize(("text", "value"), [("true", True), ("0", False), (" On ", True)])
def test_yes_and_no_are_read_as_meant(text: str, value: bool) -> None:
    assert Settings.from_env({"DANDYROLL_ALLOW_PLAIN_HTTP": text}).allow_plain_http is value


def test_a_word_that_is_neither_yes_nor_no_is_refused() -> None:
    with pytest.raises(BadSetting, match="DANDYROLL_ALLOW_PLAIN_HTTP: expected true or false"):
        Settings.from_env({"DANDYROLL_ALLOW_PLAIN_HTTP": "perhaps"})
