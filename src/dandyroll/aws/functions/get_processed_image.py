"""`get-processed-image`: answers `GET /get-processed-image/{file-name}`."""

from typing import Any

from dandyroll.api.get_processed_image import get_processed_image
from dandyroll.aws.gateway import serve


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return serve(get_processed_image, event)
