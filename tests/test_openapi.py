"""The OpenAPI document: every route in it, valid as OpenAPI 3.1, and true of what is answered."""

import re
from typing import Any

from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from dandyroll import errors
from dandyroll.api.openapi import OPERATIONS, SCHEMAS, openapi
from dandyroll.api.reference import reference_page
from dandyroll.api.routes import ROUTES
from dandyroll.models import Box, Rendition, Row


def test_it_is_openapi_3_1() -> None:
    OpenAPIV31SpecValidator(openapi()).validate()


def test_every_route_is_described() -> None:
    described = {
        (method.upper(), path) for path, methods in openapi()["paths"].items() for method in methods
    }
    assert described == {(route.method, route.path) for route in ROUTES}
    assert set(OPERATIONS) == {route.handler for route in ROUTES}
    assert {r.handler for r in ROUTES if r.needs_key} == {
        handler for handler, operation in OPERATIONS.items() if operation.scope
    }


def test_a_row_is_as_the_schema_says() -> None:
    rendition = Rendition("FINAL-IMAGES/a", 1, 1, 1, "image/png", "e", Box(0, 0, 1, 1))
    row = Row(
        "a", "b", "image/png", "2026-01-01T00:00:00.000Z", "PNG", "http://x", 1, 1, "o", "p",
        "processed", width=1, height=1, sha256="s", has_transparency=True, mode="RGBA",
        declared_type="image/jpeg", frames=2, pages=1, page=1, original_deleted_at=1,
        processed=rendition, error={"code": "c", "message": "m"}, ledger={"ms": 1},
    )  # fmt: skip
    assert set(row.to_json()) == set(SCHEMAS["Row"]["properties"])
    schema = {**SCHEMAS["Row"], "components": openapi()["components"]}
    Draft202012Validator(schema).validate(row.to_json())


def test_the_page_shows_every_route_and_needs_no_other_host() -> None:
    page = reference_page(openapi())
    for route in ROUTES:
        assert f"<h2>{route.method} {route.path}</h2>" in page
    assert not re.search(r'(src|href)="(?!#|openapi\.json)', page)
    assert "<script" not in page
    codes: set[Any] = {error.code for error in errors.ALL if error.status < 500}
    assert {code for code in codes if code not in page} == set()
