"""`get-image-metadata`: answers `GET /get-image-metadata/{file-name}`."""

from typing import Any

from dandyroll.api.get_image_metadata import get_image_metadata
from dandyroll.aws.gateway import serve


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return serve(get_image_metadata, event)
