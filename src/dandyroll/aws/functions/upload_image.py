"""`upload-image`: answers `POST /upload`."""

from typing import Any

from dandyroll.api.upload import upload
from dandyroll.aws.gateway import serve


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return serve(upload, event)
