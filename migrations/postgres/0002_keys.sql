CREATE TABLE api_keys (
    id                   text        COLLATE "C" PRIMARY KEY,
    -- Counts up with every change, but not with uses: what was read can be told from what is.
    revision             bigint      NOT NULL,
    name                 text        NOT NULL,
    endpoint             text        NOT NULL,
    -- The beginning of the key, enough to recognise it and far too little to guess it.
    prefix               text        NOT NULL,
    key_hash             bytea       NOT NULL UNIQUE,
    secret_hash          bytea,
    template             text,
    created_at           timestamptz NOT NULL,
    expires_at           timestamptz,
    revoked_at           timestamptz,
    -- The text before the last rotation, valid until previous_until.
    previous_prefix      text,
    previous_key_hash    bytea UNIQUE,
    previous_secret_hash bytea,
    previous_until       timestamptz,
    -- signature_secret says where the secret is, ${ENV} or ${file:PATH}; never the secret.
    signature_scheme     text,
    signature_secret     text,
    -- Requests a second.
    rate                 bigint,
    -- As the record was put; what came later is in api_key_uses.
    last_used_at         timestamptz,
    stored               bigint      NOT NULL,
    ignored              bigint      NOT NULL,
    rejected             bigint      NOT NULL
);

-- Uses since the record was put, in several rows for each key, so that several receivers of one key do not wait for each other:
-- an update holds its key only as something that may not change.
CREATE TABLE api_key_uses (
    key_id       text        COLLATE "C" NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    slot         bigint      NOT NULL,
    stored       bigint      NOT NULL,
    ignored      bigint      NOT NULL,
    rejected     bigint      NOT NULL,
    last_used_at timestamptz NOT NULL,
    PRIMARY KEY (key_id, slot)
);

CREATE VIEW api_key_records AS
    SELECT k.id, k.revision, k.name, k.endpoint, k.prefix, k.key_hash, k.secret_hash, k.template, k.created_at, k.expires_at,
        k.revoked_at, k.previous_prefix, k.previous_key_hash, k.previous_secret_hash, k.previous_until, k.signature_scheme,
        k.signature_secret, k.rate, greatest(k.last_used_at, u.last_used_at) AS last_used_at,
        k.stored + coalesce(u.stored, 0) AS stored, k.ignored + coalesce(u.ignored, 0) AS ignored,
        k.rejected + coalesce(u.rejected, 0) AS rejected
    FROM api_keys AS k, LATERAL (
        SELECT max(last_used_at) AS last_used_at, sum(stored)::bigint AS stored, sum(ignored)::bigint AS ignored,
            sum(rejected)::bigint AS rejected
        FROM api_key_uses WHERE key_id = k.id
    ) AS u;
