"""The AWS home with what lies below its ports: what sweep and redrive work on."""

from dataclasses import dataclass

from dandyroll.aws.catalogue import DynamoCatalogue
from dandyroll.aws.executions import Executions
from dandyroll.aws.objects import S3ObjectStore
from dandyroll.aws.table import Table
from dandyroll.ports import Home


@dataclass(frozen=True)
class Upkeep:
    """An open AWS home."""

    home: Home
    objects: S3ObjectStore
    catalogue: DynamoCatalogue
    table: Table
    executions: Executions
