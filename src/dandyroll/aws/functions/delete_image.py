"""`delete-image`: answers `DELETE /images/{file-name}`."""

from typing import Any

from dandyroll.api.delete_image import delete_image
from dandyroll.aws.gateway import serve


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return serve(delete_image, event)
