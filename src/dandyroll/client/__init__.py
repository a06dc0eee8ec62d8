"""A client of Dandyroll's HTTP contract, in either home. docs/client.md shows it.

Written once, in `calls.py`, as exchanges that do no I/O; `blocking.py` and `awaiting.py` carry
them out.
"""

from dandyroll.client.awaiting import AsyncClient
from dandyroll.client.blocking import Client
from dandyroll.client.problems import ClientError, Problem, SourceChanged, Unreachable
from dandyroll.client.source import Source, measure

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "Problem",
    "Source",
    "SourceChanged",
    "Unreachable",
    "measure",
]
