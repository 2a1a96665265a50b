-- Who may do what alone: `job/NAME`, to run a job; `schedules`, to begin runs. A lease that has run out may be taken by anybody; each taking has the next epoch, and whatever is
-- written under an earlier one is refused. Times are the database's, so that the clocks of machines do not matter. Rows stay, for their epochs,
-- but for those with a parent, whose epochs go with its.
CREATE TABLE leases (
    name     text        COLLATE "C" PRIMARY KEY,
    -- The daemon's place, for people.
    holder   text        NOT NULL,
    -- What it does, for people.
    what     text        NOT NULL,
    epoch    bigint      NOT NULL,
    taken_at timestamptz NOT NULL,
    until    timestamptz NOT NULL,
    -- A lease that only counts as long as another one is in this epoch.
    parent       text    COLLATE "C",
    parent_epoch bigint
);

-- Deliveries that several daemons share, in chunks; offered by whoever has the job's lease in this epoch.
CREATE TABLE shares (
    run_id     text        COLLATE "C" PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    job        text        COLLATE "C" NOT NULL,
    fleet      text        COLLATE "C" NOT NULL,
    epoch      bigint      NOT NULL,
    -- Rows of the change set, and of a chunk.
    total      bigint      NOT NULL,
    chunk_rows bigint      NOT NULL,
    -- How many take part at most.
    places     bigint      NOT NULL,
    -- A digest of the job: a helper's must be the same.
    plan       text        NOT NULL,
    at         timestamptz NOT NULL,
    open       boolean     NOT NULL
);

-- Whose a chunk is: a lease and its epoch. It is nobody's where that lease has run out.
CREATE TABLE share_chunks (
    run_id text    COLLATE "C" NOT NULL REFERENCES shares (run_id) ON DELETE CASCADE,
    chunk  bigint  NOT NULL,
    place  text    COLLATE "C",
    epoch  bigint,
    done   boolean NOT NULL DEFAULT false,
    PRIMARY KEY (run_id, chunk)
);
