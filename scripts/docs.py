"""Write the generated parts of docs/, or with --check say which are out of date.

docs/settings.md is the table in `dandyroll.settings`. In docs/contract.md the lines between the
two markers are the table in `dandyroll.errors`. The tables of docs/cost-analysis.md are what
`dandyroll cost` makes of `dandyroll.aws.costs`. The drawings are those of drawings.py.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cost_tables import cost_tables
from drawings import aws_svg, machine_svg

from dandyroll import errors, settings
from dandyroll.api.routes import ROUTES

DOCS = Path(__file__).resolve().parent.parent / "docs"

SETTINGS_HEAD = """\
# Settings

<!-- Made by `make docs` from the table in src/dandyroll/settings.py. Change it there. -->

Each setting is a variable of the environment, or at home a line of a settings file, read once
when the server, a command or a function starts. A value that cannot be used, or a name that is
not in this table, stops the start with a line that names it and says where it stands: variable,
or file, line and key. Where values do not go together, or are no URL or event, the line names the
variable, wherever the value stands. Sizes are in bytes, times in seconds.

At home one file is read: the one `--config` names, or else `dandyroll.toml` where the command is
run, or else `dandyroll.toml` in the data folder. It is
[TOML](https://toml.io), with no sections (`[server]`):

    port = 8443
    tls_cert = "/etc/dandyroll/fullchain.pem"
    tls_key = "/etc/dandyroll/privkey.pem"
    keep_failed_days = 30

Relative paths in it are taken from its folder. The environment goes before the file, the command
line before both. The AWS home reads its environment only, and so do the commands that talk to a
server (`upload`, `show`, `list`, `delete`, `retry`): a file that happens to lie there must not send
your key to a stranger's URL.

"""

TYPES = {"int": "whole number", "str": "text", "bool": "true or false", "Path": "path"}


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    cells = [[cell.replace("|", r"\|") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def default_text(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "empty" if value in ("", Path()) else f"`{value}`"


def settings_page() -> str:
    rows = [
        (
            f"`{s.name}`" if s.in_file else "–",
            f"`{s.env}`",
            TYPES.get(s.type.__name__, s.type.__name__),
            default_text(s.default),
            s.help,
        )
        for s in settings.SETTINGS
    ]
    return SETTINGS_HEAD + table(
        ("in the file", "variable", "type", "default", "what it does"), rows
    )


def errors_table() -> str:
    rows = [
        (
            f"`{error.code}`",
            str(error.status),
            "yes" if error.retryable else "no",
            " ".join((error.__doc__ or "").split()),
        )
        for error in sorted(errors.ALL, key=lambda error: (error.status, error.code))
    ]
    return table(("code", "status", "tried again by the pipeline", "when"), rows)


def filled(page: str, text: str, name: str, made: str) -> str:
    """The page's text with fresh lines between the markers of that name. Exits without them."""
    begin, end = f"<!-- {name}: begin (make docs) -->", f"<!-- {name}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        sys.exit(f"docs/{page}: expected one line {begin} and after it one line {end}")
    before, rest = text.split(begin)
    after = rest.split(end)[1]
    return f"{before}{begin}\n\n{made}\n{end}{after}"


def page_with(page: str, tables: dict[str, str]) -> str:
    """A page of docs/ with all its tables made anew."""
    path = DOCS / page
    if not path.exists():
        sys.exit(f"docs/{page}: expected the page, with markers for {', '.join(tables)} in it")
    text = path.read_text("utf-8")
    for name, made in tables.items():
        text = filled(page, text, name, made)
    return text


def main() -> int:
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit("usage: scripts/docs.py [--check]")
    costs = {name: table(*made) for name, made in cost_tables().items()}
    pages = {
        DOCS / "settings.md": settings_page(),
        DOCS / "contract.md": page_with("contract.md", {"errors": errors_table()}),
        DOCS / "cost-analysis.md": page_with("cost-analysis.md", costs),
        DOCS / "machine.svg": machine_svg(),
        DOCS / "aws.svg": aws_svg([*dict.fromkeys(route.function for route in ROUTES)]),
    }
    stale = [
        path for path, text in pages.items() if not path.exists() or path.read_text("utf-8") != text
    ]
    for path in stale:
        if not check:
            path.write_text(pages[path], "utf-8")
        print(f"docs/{path.name}: {'out of date; run: make docs' if check else 'written'}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
