"""`list-images`: answers `GET /images`."""

from typing import Any

from dandyroll.api.list_images import list_images
from dandyroll.aws.gateway import serve


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return serve(list_images, event)
