-- Times are microseconds since 1970-01-01 UTC.

-- Entries in org_history. What was stored before there was one begins with none.
ALTER TABLE orgs ADD COLUMN changes INTEGER NOT NULL DEFAULT 0;
-- When the newest of its events happened, by its sender.
ALTER TABLE orgs ADD COLUMN event_at INTEGER;
-- The fields that are not of that time, as JSON; NULL with most orgs (src/store/orgs/times.rs).
ALTER TABLE orgs ADD COLUMN field_times TEXT;

CREATE TABLE org_history (
    target_org_id INTEGER NOT NULL,
    -- From 1 in each org, without a gap.
    number        INTEGER NOT NULL,
    at            INTEGER NOT NULL,
    key_id        TEXT    NOT NULL,
    request_id    TEXT    NOT NULL,
    event_at      INTEGER,
    -- {"field": [before, after]}
    fields        TEXT    NOT NULL,
    PRIMARY KEY (target_org_id, number)
) STRICT, WITHOUT ROWID;

-- What repeats are answered. By org and not by hash alone, so that the records of new orgs are appended, and those of known orgs are
-- looked for and no others.
CREATE TABLE org_answers (
    target_org_id INTEGER NOT NULL,
    hash          BLOB    NOT NULL,
    is_new        INTEGER NOT NULL,
    stale         INTEGER NOT NULL,
    at            INTEGER NOT NULL,
    PRIMARY KEY (target_org_id, hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX org_answers_by_time ON org_answers (at);
