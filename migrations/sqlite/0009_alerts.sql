-- Times are microseconds since 1970-01-01 UTC.

-- What is wrong with jobs, and which channels (names between blanks) were told. Once it is right again, which were told that. `place`: the daemon that found it; others may not know the job.
CREATE TABLE alerts (
    job      TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    about    TEXT    NOT NULL,
    place    TEXT    NOT NULL,
    since    INTEGER NOT NULL,
    ended_at INTEGER,
    told     TEXT    NOT NULL,
    PRIMARY KEY (job, kind)
) STRICT, WITHOUT ROWID;
