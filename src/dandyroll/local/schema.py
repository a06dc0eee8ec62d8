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
    CREATE TABLE quota (
        owner TEXT PRIMARY KEY,
        max_uploads_per_day INTEGER, -- absent: no limit
        max_stored_bytes INTEGER,    -- the same
        stored_bytes INTEGER NOT NULL DEFAULT 0,
        uploads INTEGER NOT NULL DEFAULT 0, -- on `day`
        day INTEGER NOT NULL DEFAULT 0      -- since 1970, UTC
    ) STRICT, WITHOUT ROWID;
    INSERT INTO quota (owner, stored_bytes)
        SELECT owner, sum(coalesce(json_extract(row, '$.size_bytes'), 0))
        FROM "image-metadata" GROUP BY owner;

    CREATE TRIGGER quota_image_added AFTER INSERT ON "image-metadata" BEGIN
        INSERT INTO quota (owner, stored_bytes, uploads, day)
        VALUES (
            NEW.owner,
            coalesce(json_extract(NEW.row, '$.size_bytes'), 0),
            1,
            NEW.uploaded_at / 86400
        )
        ON CONFLICT (owner) DO UPDATE SET
            stored_bytes = stored_bytes + excluded.stored_bytes,
            uploads = CASE WHEN excluded.day > day THEN 1 ELSE uploads + 1 END,
            day = max(day, excluded.day);
    END;
    CREATE TRIGGER quota_image_changed AFTER UPDATE OF row ON "image-metadata"
    WHEN json_extract(OLD.row, '$.size_bytes') IS NOT json_extract(NEW.row, '$.size_bytes') BEGIN
        UPDATE quota SET stored_bytes = stored_bytes
            + coalesce(json_extract(NEW.row, '$.size_bytes'), 0)
            - coalesce(json_extract(OLD.row, '$.size_bytes'), 0)
        WHERE owner = NEW.owner;
    END;
    CREATE TRIGGER quota_image_removed AFTER DELETE ON "image-metadata" BEGIN
        UPDATE quota SET stored_bytes = stored_bytes
            - coalesce(json_extract(OLD.row, '$.size_bytes'), 0)
        WHERE owner = OLD.owner;
    END;

    CREATE TABLE key_usage (
        key TEXT PRIMARY KEY,        -- its name: the first 12 digits of its hash
        requests INTEGER NOT NULL,
        uploads INTEGER NOT NULL,
        uploaded_bytes INTEGER NOT NULL,
        refused INTEGER NOT NULL,
        last_used_at INTEGER NOT NULL -- epoch seconds
    ) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE TABLE receiver (          -- of events: a webhook, or mail
        id TEXT PRIMARY KEY,
        url TEXT NOT NULL,           -- https:, http: or mailto:
        owner TEXT,                  -- whose events; NULL: everyone's
        events TEXT NOT NULL,        -- types, with commas between
        secret TEXT NOT NULL,        -- signs what is sent, so it is kept as it is
        created_at INTEGER NOT NULL, -- epoch seconds, as all times here
        failures INTEGER NOT NULL,   -- in a row, of reaching it at all
        paused_until REAL NOT NULL   -- nothing is sent before
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE event (             -- the outbox
        id TEXT PRIMARY KEY,
        type TEXT NOT NULL,
        owner TEXT NOT NULL,
        image_id TEXT NOT NULL,
        created_at REAL NOT NULL,
        body TEXT NOT NULL           -- JSON, as it is sent
    ) STRICT;
    CREATE INDEX event_by_time ON event (created_at);

    CREATE TABLE delivery (          -- of one event to one receiver: what is to do, and the log
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        event_id TEXT NOT NULL,
        receiver_id TEXT NOT NULL,
        state TEXT NOT NULL,         -- pending, delivered, given_up
        tries INTEGER NOT NULL,
        begun_at REAL NOT NULL,      -- where the time until giving up counts from
        due_at REAL NOT NULL,
        tried_at REAL,               -- the last time
        answer TEXT,                 -- what the last try came to
        UNIQUE (event_id, receiver_id)
    ) STRICT;
    CREATE INDEX delivery_due ON delivery (receiver_id, due_at) WHERE state = 'pending';
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
