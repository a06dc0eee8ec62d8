"""Dandyroll: upload an image; get it back resized, watermarked and catalogued.

Start reading in `pipeline.py`. From here comes the client: `from dandyroll import Client`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dandyroll.client import AsyncClient as AsyncClient
    from dandyroll.client import Client as Client
    from dandyroll.client import ClientError as ClientError
    from dandyroll.client import Problem as Problem
    from dandyroll.client import SourceChanged as SourceChanged
    from dandyroll.client import Unreachable as Unreachable
    from dandyroll.client import measure as measure

__version__ = "0.1.0"

_CLIENT = (
    *("AsyncClient", "Client", "measure"),
    *("ClientError", "Problem", "SourceChanged", "Unreachable"),
)


def __getattr__(name: str) -> Any:
    """The client's names, loaded when first asked for: workers and Lambdas need no HTTP client."""
    if name in _CLIENT:
        return getattr(import_module("dandyroll.client"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
