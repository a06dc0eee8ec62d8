"""Write the generated parts of docs/, or with --check say which are out of date.

docs/settings.md is the table in `dandyroll.settings`. In docs/contract.md the lines between the
two markers are the table in `dandyroll.errors`.
"""

import sys
from pathlib import Path
from typing import Any

from dandyroll import errors, settings

DOCS = Path(__file__).resolve().parent.parent / "docs"
BEGIN = "<!-- errors: begin (make docs) -->"
END = "<!-- errors: end -->"

SETTINGS_HEAD = """\
# Settings

<!-- Made by `make docs` from the table in src/dandyroll/settings.py. Change it there. -->

Each setting is one environment variable, read once when the server or a function starts. A value
that cannot be used, or a `DANDYROLL_` variable that is not in this table, stops the start with a
line that names it. Sizes are in bytes, times in seconds.

"""

TYPES = {"int": "whole number", "str": "text", "bool": "true or false", "Path": "path"}


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    cells = [[cell.replace("|", r"\|") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def default_text(value: Any) -> str:
    return "empty" if str(value) == "" else f"`{value}`"


def settings_page() -> str:
    rows = [
        (f"`{s.env}`", TYPES.get(s.type.__name__, s.type.__name__), default_text(s.default), s.help)
        for s in settings.SETTINGS
    ]
    return SETTINGS_HEAD + table(("variable", "type", "default", "what it does"), rows)


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


def contract_page(text: str) -> str:
    """The page with a fresh table. Exits with a line that tells what is missing."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        sys.exit(f"docs/contract.md: expected one line {BEGIN} and after it one line {END}")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n\n{errors_table()}\n{END}{after}"


def main() -> int:
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit("usage: scripts/docs.py [--check]")
    contract = DOCS / "contract.md"
    if not contract.exists():
        sys.exit("docs/contract.md: expected the contract, with the error table's markers in it")
    pages = {
        DOCS / "settings.md": settings_page(),
        contract: contract_page(contract.read_text("utf-8")),
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
