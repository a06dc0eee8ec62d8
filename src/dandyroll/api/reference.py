"""The contract as a page to read: HTML made from the OpenAPI document, without any script."""

from collections.abc import Sequence
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 25%, transparent) }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem }
h2 { border-top: 1px solid var(--line); padding-top: 1.2rem; font-size: 1.1rem }
code, h2 { font-family: ui-monospace, monospace }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 }
th, td { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0 }
th { font-weight: 600; border-bottom: 1px solid var(--line) }
"""


def reference_page(document: dict[str, Any]) -> str:
    """One self-contained page: each route, its parameters, answers and error codes; the shapes."""
    info = document["info"]
    operations = [
        _operation(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    shapes = [_shape(name, schema) for name, schema in document["components"]["schemas"].items()]
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(info['title'])} API</title>\n<style>{_STYLE}</style>\n"
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>\n"
        f"<p>{escape(info['description'])} "
        'The same as <a href="openapi.json">OpenAPI 3.1</a>.</p>\n'
        "<p>The API key goes into the header <code>x-api-key</code>.</p>\n"
        + "".join(operations)
        + "<h1>Shapes</h1>\n"
        + "".join(shapes)
        + "</html>\n"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parameters = [
        (f"<code>{escape(p['name'])}</code>", p["in"], _text(p["description"]))
        for p in operation["parameters"]
    ]
    answers = [
        (status, _text(response["description"]))
        for status, response in operation["responses"].items()
    ]
    return (
        f"<h2>{method.upper()} {escape(path)}</h2>\n"
        f"<p>{escape(operation['summary'])}. {_text(operation.get('description', ''))}</p>\n"
        + (_table(("parameter", "in", "is"), parameters) if parameters else "")
        + _table(("status", "answer"), answers)
    )


def _shape(name: str, schema: dict[str, Any]) -> str:
    rows = [
        (
            f"<code>{escape(field)}</code>",
            _type(part),
            "always" if field in schema["required"] else "",
        )
        for field, part in schema["properties"].items()
    ]
    return f'<h2 id="{name}">{name}</h2>\n' + _table(("attribute", "type", "there"), rows)


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{name}">{name}</a>'
    if "items" in schema:
        return f"list of {_type(schema['items'])}"
    if "oneOf" in schema:
        return " or ".join(_type(part) for part in schema["oneOf"])
    if "enum" in schema:
        return " ".join(f"<code>{escape(value)}</code>" for value in schema["enum"])
    kind = schema.get("type", schema.get("const", ""))
    return escape(" or ".join(kind) if isinstance(kind, list) else str(kind))


def _text(markdown: str) -> str:
    """Escaped, with what stands between backticks as code."""
    parts = escape(markdown).split("`")
    return "".join(f"<code>{p}</code>" if n % 2 else p for n, p in enumerate(parts))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(f"<th>{name}</th>" for name in head)
    lines = ("".join(f"<td>{cell}</td>" for cell in row) for row in rows)
    return f"<table><tr>{cells}</tr>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>\n"
