-- Times are microseconds since 1970-01-01 UTC.

-- Tokens of the admin API; of a token only its hash is here.
CREATE TABLE admin_tokens (
    id         TEXT    PRIMARY KEY,
    name       TEXT    NOT NULL,
    role       TEXT    NOT NULL,
    hash       BLOB    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

-- Who did what. Ids are ULIDs, so that they are in the order of time.
CREATE TABLE audit (
    id      TEXT    PRIMARY KEY,
    at      INTEGER NOT NULL,
    who     TEXT    NOT NULL,
    via     TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    subject TEXT,
    -- What came of it; NULL: it was begun, and that is all that is known.
    outcome TEXT,
    detail  TEXT
) STRICT, WITHOUT ROWID;
