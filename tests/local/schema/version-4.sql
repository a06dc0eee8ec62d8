-- A catalogue.db of schema version 4, as it was written then. Not to be edited.

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
    
    ALTER TABLE "image-metadata"
        ADD COLUMN created_date TEXT GENERATED ALWAYS AS (row ->> '$.created_date') VIRTUAL;
    CREATE INDEX image_by_date ON "image-metadata" (created_date, "image-id");
    CREATE INDEX image_by_owner ON "image-metadata" (owner, created_date, "image-id");
    CREATE INDEX image_by_status ON "image-metadata" (status, owner, created_date, "image-id");

    CREATE TABLE secret (
        name TEXT PRIMARY KEY,
        value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    
INSERT INTO "image-metadata" VALUES ('upload-20261123_120000-0a1b2c3d.jpg', 'shop', 'uploaded', 1795435200,
    '{"image-id": "upload-20261123_120000-0a1b2c3d.jpg", "bucket": "local", "content_type": "image/jpeg", "created_date": "2026-11-23T12:00:00.000Z", "height": 1280, "image_format": "JPEG", "s3_url": "http://127.0.0.1:8000/get-image-metadata/upload-20261123_120000-0a1b2c3d.jpg", "size_bytes": 159480, "uploaded_at": 1795435200, "width": 1920, "owner": "shop", "sha256": "0000000000000000000000000000000000000000000000000000000000000000", "policy": "policy-ae3cdff619c74bab", "status": "uploaded", "ledger": {"trace_id": "t"}}');
INSERT INTO job VALUES ('upload-20261123_120000-0a1b2c3d.jpg', '{"image_id": "upload-20261123_120000-0a1b2c3d.jpg", "policy": "policy-ae3cdff619c74bab", "key": "uploaded/upload-20261123_120000-0a1b2c3d.jpg", "image_format": "JPEG", "mark": null, "changes": {"has_transparency": null, "mode": null, "processed": null, "error": null, "ledger": {}}}', 1, 1795435200.5);
INSERT INTO claim VALUES ('shop', 'k', 1795521600, '{}');
INSERT INTO api_key VALUES ('e15bffd45e9c51749eb056f0f285a15120a260e5895ae05443ebe6c83e3f64ce', 'shop', 'read,write', 4102444800, 1795435200, NULL);
INSERT INTO key_usage VALUES ('e15bffd45e9c', 3, 1, 159480, 1, 1795435200);
INSERT INTO receiver VALUES ('wh_0a1b2c3d', 'https://example.com/hook', 'shop', 'image.processed,image.failed', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 1795435200, 1, 1795435205.5);
INSERT INTO event VALUES ('evt_0123456789abcdef0123456789abcdef', 'image.failed', 'shop', 'upload-20261123_120000-0a1b2c3d.jpg', 1795435200.25,
    '{"id":"evt_0123456789abcdef0123456789abcdef","type":"image.failed","version":1,"created_at":"2026-11-23T12:00:00.250Z","data":{"image-id":"upload-20261123_120000-0a1b2c3d.jpg"}}');
INSERT INTO delivery VALUES (7, 'evt_0123456789abcdef0123456789abcdef', 'wh_0a1b2c3d', 'pending', 1, 1795435200.25, 1795435205.5, 1795435200.5, 'not reached: Connection refused');
INSERT INTO secret VALUES ('tickets', x'00112233');
PRAGMA user_version = 4;
