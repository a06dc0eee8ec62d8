"""What a first run shows: a key to try, and the lines to paste."""

import shutil
import time
from importlib.resources import as_file, files
from pathlib import Path

from dandyroll.local.api_keys import create_api_key
from dandyroll.local.database import Database

_LIFETIME_S = 30 * 24 * 60 * 60


def demo_text(database: Database, data_dir: Path, url: str) -> str:
    """A new key with `read` and `write` for 30 days, inside commands that work as pasted.

    Puts the sample picture they upload into the data folder.
    """
    picture = data_dir / "sample.jpg"
    with as_file(files("dandyroll") / "web" / "sample.jpg") as sample:
        shutil.copyfile(sample, picture)
    scopes = frozenset({"read", "write"})
    key = create_api_key(database, "demo", scopes, int(time.time()) + _LIFETIME_S)
    return f"""\
Dandyroll is at {url}

A demo key (owner demo, read and write, 30 days):

    {key}

Upload the sample picture:

    curl -sS {url}/upload -H 'x-api-key: {key}' -H 'Content-Type: image/jpeg' \\
        --data-binary @{picture}

Or open {url} and drop a picture there. Stop it with Ctrl-C.
"""
