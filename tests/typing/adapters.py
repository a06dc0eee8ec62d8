"""Each adapter is what its port says; mypy reads this file, nothing runs it."""

from dandyroll.aws.catalogue import DynamoCatalogue
from dandyroll.aws.objects import S3ObjectStore
from dandyroll.local.catalogue import SqliteCatalogue
from dandyroll.local.objects import FileObjectStore
from dandyroll.local.one_file import OneFile
from dandyroll.ports import Catalogue, ObjectStore


def object_stores(
    files: FileObjectStore, s3: S3ObjectStore, one: OneFile
) -> tuple[ObjectStore, ...]:
    return files, s3, one


def catalogues(sqlite: SqliteCatalogue, dynamo: DynamoCatalogue) -> tuple[Catalogue, ...]:
    return sqlite, dynamo
