"""The local home as one end of a copying: opened without its server, or beside it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from dandyroll.local import faults
from dandyroll.local.config import FILE_NAME
from dandyroll.local.home import CATALOGUE, check_catalogue, open_database, open_upkeep
from dandyroll.local.tls import read_tls, server_url
from dandyroll.ports import Home
from dandyroll.settings import BadSetting, Settings


@contextmanager
def open_source(settings: Settings) -> Iterator[Home]:
    """The home in the settings' data folder. Raises `BadSetting` where there is none."""
    check_catalogue(settings.data_dir)
    with open_upkeep(settings) as upkeep:
        yield upkeep.home


@contextmanager
def open_target(settings: Settings, *, write: bool = True) -> Iterator[Home]:
    """The same, made if there is none; without `write` one that stays empty is lent for it.

    Its rows name the server that these settings would start. Raises `BadSetting` for a folder
    that holds something else.
    """
    data_dir = settings.data_dir
    url = settings.public_url or server_url(settings.host, settings.port, read_tls(settings))
    settings = replace(settings, public_url=url)
    if (data_dir / CATALOGUE).is_file():
        with _open(settings) as home:
            yield home
        return
    if data_dir.exists() and not _is_free(data_dir):
        raise BadSetting(
            f"--to {data_dir}: expected a data folder, or a new or empty one; got another."
        )
    if write:
        open_database(data_dir).close()  # before all else: by it the folder is known from here on
        with _open(settings) as home:
            yield home
        return
    with (
        TemporaryDirectory(prefix="dandyroll-") as nothing,
        _open(replace(settings, data_dir=Path(nothing))) as home,
    ):
        yield home


@contextmanager
def _open(settings: Settings) -> Iterator[Home]:
    faults.arm(settings.fault)
    with open_upkeep(settings) as upkeep:
        yield upkeep.home


def _is_free(folder: Path) -> bool:
    return folder.is_dir() and all(entry.name == FILE_NAME for entry in folder.iterdir())
