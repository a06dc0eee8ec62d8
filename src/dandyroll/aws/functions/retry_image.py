"""`retry-image`: answers `POST /images/{file-name}/retry`."""

from typing import Any

from dandyroll.api.retry_image import retry_image
from dandyroll.aws.gateway import serve


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return serve(retry_image, event)
