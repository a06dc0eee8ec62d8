"""Where the local home's settings come from: a `dandyroll.toml`, the environment, the command."""

import os
from pathlib import Path
from typing import Any

from dandyroll.settings import PREFIX, BadSetting, Settings, SettingsFile

FILE_NAME = "dandyroll.toml"


def read_settings(config: Path | None = None, **given: Any) -> Settings:
    """The settings for one command; `given` are those of the command line, None where not given.

    One file is read: `config`, or else `./dandyroll.toml`, or else the one in the data folder.
    Environment goes before file, command line before both. Raises `BadSetting`.
    """
    data_dir = given.get("data_dir") or Path(os.environ.get(f"{PREFIX}DATA_DIR") or "data")
    file = _read(config, must=True) if config else _read(Path(FILE_NAME))
    if file is None:
        file = _read(data_dir / FILE_NAME)
        if file is not None and "data_dir" in file.values():
            raise BadSetting(
                f"{file.path}: data_dir: a file inside the data folder cannot say where that is. "
                "Remove the line, or name the file with --config."
            )
    return Settings.from_env(os.environ, file, **given)


def _read(path: Path, must: bool = False) -> SettingsFile | None:
    try:
        return SettingsFile(path, path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        if must:
            raise BadSetting(f"--config {path}: there is no such file.") from None
        return None
    except OSError as error:
        raise BadSetting(f"{path}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise BadSetting(f"{path}: expected UTF-8 text.") from None
