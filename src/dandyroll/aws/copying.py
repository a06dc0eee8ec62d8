"""The AWS home as one end of a copying."""

from dataclasses import replace

from dandyroll.aws.home import open_home
from dandyroll.aws.objects import S3ObjectStore
from dandyroll.aws.stack import Stack
from dandyroll.ports import Home

_REQUEST_S = 900  # 100 MB over an operator's line may take that long; no gateway waits for it


def open_end(stack: Stack) -> Home:
    """The stack's home. Asks nothing of AWS yet; raises `CloudError` for too old a stack."""
    settings = stack.settings()
    objects = S3ObjectStore(settings.bucket, stack.cloud, _REQUEST_S)
    return replace(open_home(settings, stack.cloud), objects=objects)
