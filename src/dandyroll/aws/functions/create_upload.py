"""`create-upload`: answers `POST /uploads`."""

from typing import Any

from dandyroll.api.create_upload import create_upload
from dandyroll.aws.gateway import serve


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return serve(create_upload, event)
