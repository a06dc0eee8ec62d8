"""The contract as one OpenAPI 3.1 document, built from the route table and the error tree."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from dandyroll import __version__, errors
from dandyroll.api.create_upload import create_upload
from dandyroll.api.delete_image import delete_image
from dandyroll.api.get_health import get_health
from dandyroll.api.get_image_metadata import get_image_metadata
from dandyroll.api.get_processed_image import get_processed_image
from dandyroll.api.list_images import list_images
from dandyroll.api.retry_image import retry_image
from dandyroll.api.routes import ROUTES, Handler, Route
from dandyroll.api.upload import upload
from dandyroll.models import STATUSES

_IMAGE = {"image/*": {"schema": {"type": "string", "format": "binary"}}}
_TEXT = {"type": "string"}
_NUMBER = {"type": "integer", "minimum": 0}


def _object(required: str, **properties: Any) -> dict[str, Any]:
    named = {name.replace("__", "-"): schema for name, schema in properties.items()}
    return {"type": "object", "required": required.split(), "properties": named}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


SCHEMAS: dict[str, Any] = {
    "Problem": _object(
        "type title status code message trace_id",
        type=_TEXT,
        title=_TEXT,
        status=_NUMBER,
        code={"type": "string", "enum": sorted(error.code for error in errors.ALL)},
        message=_TEXT,
        trace_id=_TEXT,
    ),
    "Uploaded": _object("message image_id s3_url", message=_TEXT, image_id=_TEXT, s3_url=_TEXT),
    "Announcement": _object(
        "content_type size_bytes", content_type=_TEXT, size_bytes={"type": "integer", "minimum": 1}
    ),
    "Ticket": _object(
        "image_id url method headers expires_at",
        image_id=_TEXT,
        url=_TEXT,
        method={"const": "PUT"},
        headers={"type": "object", "additionalProperties": _TEXT},
        expires_at=_NUMBER,
    ),
    "Box": _object(
        "left top width height", left=_NUMBER, top=_NUMBER, width=_NUMBER, height=_NUMBER
    ),
    "Rendition": _object(
        "key width height size_bytes content_type etag",
        key=_TEXT,
        width=_NUMBER,
        height=_NUMBER,
        size_bytes=_NUMBER,
        content_type=_TEXT,
        etag=_TEXT,
        mark={"oneOf": [_ref("Box"), {"type": "null"}]},
    ),
    "Row": _object(
        "image-id bucket content_type created_date image_format s3_url size_bytes uploaded_at "
        "owner policy status ledger",
        image__id=_TEXT,
        bucket=_TEXT,
        content_type=_TEXT,
        created_date={"type": "string", "format": "date-time"},
        image_format=_TEXT,
        s3_url=_TEXT,
        size_bytes=_NUMBER,
        uploaded_at=_NUMBER,
        owner=_TEXT,
        policy=_TEXT,
        status={"type": "string", "enum": list(STATUSES)},
        width=_NUMBER,
        height=_NUMBER,
        sha256=_TEXT,
        has_transparency={"type": "boolean"},
        mode=_TEXT,
        declared_type=_TEXT,
        frames=_NUMBER,
        pages=_NUMBER,
        page=_NUMBER,
        original_deleted_at=_NUMBER,
        processed=_ref("Rendition"),
        error=_object("code message", code=_TEXT, message=_TEXT),
        ledger={"type": "object", "additionalProperties": {"type": ["integer", "string"]}},
    ),
    "Page": _object(
        "images cursor",
        images={"type": "array", "items": _ref("Row")},
        cursor={"type": ["string", "null"]},
    ),
}


@dataclass(frozen=True)
class Operation:
    """What the document says of a route beyond its path: the rest is in the handler's docstring.

    `answers` maps a status to the name of a schema, to `image`, or to None for no body. `errors`
    are the statuses of problem documents beside those that any route with a key has.
    """

    scope: str | None
    answers: dict[int, str | None]
    errors: tuple[int, ...] = ()
    query: tuple[tuple[str, dict[str, Any], str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None


_LIMIT = {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}
_WAIT = {"type": "integer", "minimum": 0, "maximum": 20, "default": 0}
_ACCEPT = ("Accept", "`image/*` or `application/json`: which of the two is wanted.")
_IF_NONE_MATCH = ("If-None-Match", "The `ETag` of what the client has.")

OPERATIONS: dict[Handler, Operation] = {
    upload: Operation(
        "write",
        {201: "Uploaded"},
        errors=(400, 408, 409, 413, 415, 422, 503),
        headers=(("Idempotency-Key", "Makes a repeated upload safe for 24 hours."),),
        body="image",
    ),
    create_upload: Operation(
        "write", {201: "Ticket"}, errors=(400, 413, 415, 503), body="Announcement"
    ),
    get_image_metadata: Operation(
        "read", {200: "Row", 304: None}, errors=(404, 503), headers=(_ACCEPT, _IF_NONE_MATCH)
    ),
    get_processed_image: Operation(
        "read",
        {200: "image", 303: None, 304: None},
        errors=(400, 404, 409, 503),
        query=(("wait", _WAIT, "Seconds to wait for the image to be settled."),),
        headers=(_ACCEPT, _IF_NONE_MATCH),
    ),
    list_images: Operation(
        "read",
        {200: "Page"},
        errors=(400, 503),
        query=(
            ("status", {"type": "string", "enum": list(STATUSES)}, "Only images in this status."),
            ("limit", _LIMIT, "The most rows on a page."),
            ("cursor", _TEXT, "Where the page before ended."),
        ),
    ),
    delete_image: Operation("write", {204: None}, errors=(503,)),
    retry_image: Operation("write", {202: "Row"}, errors=(404, 503)),
    get_health: Operation(None, {200: None}),
}


@cache
def openapi() -> dict[str, Any]:
    """The document, as JSON's types."""
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _described(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Dandyroll",
            "version": __version__,
            "description": "Upload an image; get it back resized, watermarked and catalogued.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "x-api-key"}},
        },
    }


def _described(route: Route) -> dict[str, Any]:
    operation = OPERATIONS[route.handler]
    described: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "parameters": [*_path_parameters(route.path), *_parameters(operation)],
        "responses": {str(status): _answer(name) for status, name in operation.answers.items()},
    }
    errors_ = operation.errors
    if operation.scope is not None:
        errors_ += (403, 429)
        described["security"] = [{"key": []}]
        described["description"] = f"Needs a key with the scope `{operation.scope}`."
    for status in sorted(errors_):
        described["responses"][str(status)] = _problem(status)
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": _content(operation.body)}
    return described


def _path_parameters(path: str) -> list[dict[str, Any]]:
    if "{file-name}" not in path:
        return []
    description = "The `image_id` that the upload was answered with."
    parameter = {"name": "file-name", "in": "path", "required": True, "schema": _TEXT}
    return [{**parameter, "description": description}]


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    query = [
        {"name": name, "in": "query", "schema": schema, "description": text}
        for name, schema, text in operation.query
    ]
    headers = [
        {"name": name, "in": "header", "schema": _TEXT, "description": text}
        for name, text in operation.headers
    ]
    return query + headers


def _answer(name: str | None) -> dict[str, Any]:
    return {"description": name or "No body."} | ({"content": _content(name)} if name else {})


def _problem(status: int) -> dict[str, Any]:
    codes = sorted(error.code for error in errors.ALL if error.status == status)
    content = {"application/problem+json": {"schema": _ref("Problem")}}
    return {"description": f"{', '.join(codes)}", "content": content}


def _content(name: str) -> dict[str, Any]:
    if name == "image":
        return _IMAGE
    return {"application/json": {"schema": _ref(name)}}
