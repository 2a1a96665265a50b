-- What is wrong with jobs, and which channels (names between blanks) were told. Once it is right again, which were told that. `place`: the daemon that found it; others may not know the job.
CREATE TABLE alerts (
    job      text        COLLATE "C" NOT NULL,
    kind     text        COLLATE "C" NOT NULL,
    about    text        NOT NULL,
    place    text        NOT NULL,
    since    timestamptz NOT NULL,
    ended_at timestamptz,
    told     text        NOT NULL,
    PRIMARY KEY (job, kind)
);
