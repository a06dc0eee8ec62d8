"""Where the local home's settings come from."""

from pathlib import Path

import pytest

from dandyroll.local.config import read_settings
from dandyroll.settings import BadSetting


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_without_a_file_there_are_the_defaults() -> None:
    assert read_settings().port == 8000


def test_the_named_file_goes_before_the_one_here_and_that_before_the_data_folders(
    tmp_path: Path,
) -> None:
    named = write(tmp_path / "named.toml", "port = 1")
    here = write(tmp_path / "here" / "dandyroll.toml", "port = 2")
    write(tmp_path / "data" / "dandyroll.toml", "port = 3")
    data = tmp_path / "data"
    assert read_settings(named, data_dir=data).port == 1
    assert read_settings(data_dir=data).port == 2
    here.unlink()
    assert read_settings(data_dir=data).port == 3
    assert read_settings(data_dir=data, port=4).port == 4


def test_the_environment_names_the_data_folder_to_look_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "data" / "dandyroll.toml", "port = 3")
    monkeypatch.setenv("DANDYROLL_DATA_DIR", str(tmp_path / "data"))
    settings = read_settings()
    assert (settings.port, settings.data_dir) == (3, tmp_path / "data")


def test_a_file_inside_the_data_folder_cannot_move_it(tmp_path: Path) -> None:
    write(tmp_path / "data" / "dandyroll.toml", 'data_dir = "elsewhere"')
    with pytest.raises(BadSetting, match="data_dir: a file inside the data folder"):
        read_settings(data_dir=tmp_path / "data")


@pytest.mark.parametrize("name", ["url", "key"])
def test_no_file_says_where_a_key_is_sent(tmp_path: Path, name: str) -> None:
    write(tmp_path / "here" / "dandyroll.toml", f'{name} = "https://stranger.example"')
    with pytest.raises(BadSetting, match=f"line 1: {name}: expected in the environment alone"):
        read_settings()


@pytest.mark.parametrize(
    "url", ["pictures.example", "ftp://pictures.example", "http://", "http://["]
)
def test_the_public_url_is_one_that_clients_can_use(url: str) -> None:
    assert read_settings(public_url="https://pictures.example:8443/a").public_url
    with pytest.raises(BadSetting, match="PUBLIC_URL: expected a URL of http or https"):
        read_settings(public_url=url)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"--config .*missing\.toml: there is no such file"):
        read_settings(tmp_path / "missing.toml")
    (tmp_path / "odd.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadSetting, match=r"odd\.toml: expected UTF-8"):
        read_settings(tmp_path / "odd.toml")
    with pytest.raises(BadSetting, match="cannot be read"):
        read_settings(tmp_path)
