-- What is known of the rows of a change set, 65,536 to a chunk, as serialized Roaring bitmaps of their positions; NULL: none.
CREATE TABLE progress (
    run_id       TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    chunk        INTEGER NOT NULL,
    acknowledged BLOB,
    refused      BLOB,
    unknown      BLOB,
    -- May be in flight.
    attempting   BLOB,
    PRIMARY KEY (run_id, chunk)
) STRICT, WITHOUT ROWID;

-- From now on `receipts` has only the rows that did not get through. What it already has is read as before.
ALTER TABLE receipts ADD COLUMN key TEXT;
ALTER TABLE receipts ADD COLUMN kind TEXT;

-- What delivery had to say, as JSON.
ALTER TABLE runs ADD COLUMN report TEXT;

CREATE TABLE run_events (
    run_id TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    state  TEXT    NOT NULL,
    reason TEXT,
    PRIMARY KEY (run_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE refusals (
    job        TEXT    NOT NULL,
    webhook_id TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    count      INTEGER NOT NULL,
    status     INTEGER,
    detail     TEXT,
    first_at   INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    run_id     TEXT    NOT NULL,
    dropped    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job, webhook_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE destinations (
    job     TEXT    NOT NULL PRIMARY KEY,
    address TEXT    NOT NULL,
    state   TEXT    NOT NULL,
    reason  TEXT    NOT NULL,
    remedy  TEXT    NOT NULL,
    since   INTEGER NOT NULL,
    run_id  TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
