-- Tokens of the admin API; of a token only its hash is here.
CREATE TABLE admin_tokens (
    id         text        COLLATE "C" PRIMARY KEY,
    name       text        NOT NULL,
    role       text        NOT NULL,
    hash       bytea       NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz
);

-- Who did what. Ids are ULIDs, so that they are in the order of time.
CREATE TABLE audit (
    id      text        COLLATE "C" PRIMARY KEY,
    at      timestamptz NOT NULL,
    who     text        NOT NULL,
    via     text        NOT NULL,
    action  text        NOT NULL,
    subject text,
    -- What came of it; NULL: it was begun, and that is all that is known.
    outcome text,
    detail  text
);
