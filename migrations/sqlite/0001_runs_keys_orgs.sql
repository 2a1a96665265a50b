-- Times are microseconds since 1970-01-01 UTC. STRICT: a value of another type is an error, not a surprise later.

CREATE TABLE runs (
    id               TEXT    NOT NULL PRIMARY KEY,
    job              TEXT    NOT NULL,
    state            TEXT    NOT NULL,
    started_at       INTEGER NOT NULL,
    finished_at      INTEGER,
    counts           TEXT    NOT NULL,
    reason           TEXT,
    -- Rows with a seq below this may have been sent.
    attempted_before INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX runs_by_time ON runs (started_at, id);
CREATE INDEX runs_by_job ON runs (job, started_at, id);

CREATE TABLE receipts (
    run_id   TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq      INTEGER NOT NULL,
    outcome  TEXT    NOT NULL,
    status   INTEGER,
    attempts INTEGER NOT NULL,
    detail   TEXT,
    at       INTEGER NOT NULL,
    PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
    id           TEXT    NOT NULL PRIMARY KEY,
    name         TEXT    NOT NULL,
    endpoint     TEXT    NOT NULL,
    -- The beginning of the key, enough to recognise it and far too little to guess it.
    prefix       TEXT    NOT NULL,
    key_hash     BLOB    NOT NULL UNIQUE,
    secret_hash  BLOB,
    template     TEXT,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    revoked_at   INTEGER,
    last_used_at INTEGER
) STRICT;

CREATE TABLE orgs (
    -- AUTOINCREMENT: the number of an org that was deleted is never given to another one.
    target_org_id  INTEGER PRIMARY KEY AUTOINCREMENT,
    product_org_id TEXT    NOT NULL COLLATE BINARY UNIQUE,
    name           TEXT,
    plan_id        TEXT,
    plan_name      TEXT,
    user_count     INTEGER,
    mrr            INTEGER,
    trial_status   TEXT,
    last_active_at INTEGER,
    feature_flags  TEXT,
    custom         TEXT    NOT NULL DEFAULT '{}',
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    -- The key of the last update. Not a foreign key: keys may be purged, orgs stay.
    key_id         TEXT    NOT NULL
) STRICT;
