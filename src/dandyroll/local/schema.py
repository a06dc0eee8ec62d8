"""The schema of the local home's database, as the steps that made it what it is.

`MIGRATIONS[n]` takes a file from version n to n + 1 (`PRAGMA user_version`). A step that was
released is never edited; `tests/local/test_schema.py` opens a file of every version.
"""

import apsw

from dandyroll.settings import BadSetting

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE "image-metadata" (
        "image-id" TEXT PRIMARY KEY,
        owner TEXT NOT NULL,
        status TEXT NOT NULL,
        uploaded_at INTEGER NOT NULL,
        row TEXT NOT NULL            -- JSON, all attributes
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE job (
        image_id TEXT PRIMARY KEY,
        job TEXT NOT NULL,           -- JSON
        tries INTEGER NOT NULL,      -- that failed
        due_at REAL NOT NULL         -- epoch seconds
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE claim (
        owner TEXT NOT NULL,
        key TEXT NOT NULL,
        expires_at INTEGER NOT NULL, -- epoch seconds
        claim TEXT NOT NULL,         -- JSON
        PRIMARY KEY (owner, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX claim_by_expiry ON claim (expires_at);

    CREATE TABLE api_key (
        hash TEXT PRIMARY KEY,       -- SHA-256 of the key; the key itself is not kept
        owner TEXT NOT NULL,
        scopes TEXT NOT NULL,
        expires_at INTEGER NOT NULL, -- epoch seconds
        created_at INTEGER NOT NULL,
        revoked_at INTEGER
    ) STRICT, WITHOUT ROWID;
    """,
    """
    ALTER TABLE "image-metadata"
        ADD COLUMN created_date TEXT GENERATED ALWAYS AS (row ->> '$.created_date') VIRTUAL;
    CREATE INDEX image_by_date ON "image-metadata" (created_date, "image-id");
    CREATE INDEX image_by_owner ON "image-metadata" (owner, created_date, "image-id");
    CREATE INDEX image_by_status ON "image-metadata" (status, owner, created_date, "image-id");

    CREATE TABLE secret (
        name TEXT PRIMARY KEY,
        value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
)

VERSION = len(MIGRATIONS)


def migrate(connection: apsw.Connection) -> None:
    """Bring the file to this version of the schema, whole or not at all.

    Raises `BadSetting` where a newer version of Dandyroll has written it.
    """
    found = connection.pragma("user_version")
    if found == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")  # of two processes with a new file, one creates it
    try:
        found = connection.pragma("user_version")
        if found > VERSION:
            raise BadSetting(
                f"DANDYROLL_DATA_DIR: its database has schema {found}; "
                f"this version of Dandyroll knows up to {VERSION}."
            )
        for step in MIGRATIONS[found:]:
            connection.execute(step)
        connection.pragma("user_version", VERSION)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
