//! Finding the server, preparing each connection, and bringing the schema up to date.

use super::PostgresStore;
use crate::store::StoreError;
use crate::store::schema::{as_known, migration, newest, not_newer};
use secrecy::{ExposeSecret, SecretString};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::fmt;
use std::sync::Arc;
use std::sync::LazyLock;
use std::time::Duration;
use url::Url;

pub(super) static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrations = Migrator::with_migrations(vec![
        migration(1, "runs", include_str!("../../../migrations/postgres/0001_runs.sql")),
        migration(2, "keys", include_str!("../../../migrations/postgres/0002_keys.sql")),
        migration(3, "orgs", include_str!("../../../migrations/postgres/0003_orgs.sql")),
        migration(4, "fires", include_str!("../../../migrations/postgres/0004_fires.sql")),
        migration(5, "causes", include_str!("../../../migrations/postgres/0005_causes.sql")),
        migration(6, "alerts", include_str!("../../../migrations/postgres/0006_alerts.sql")),
        migration(7, "leases", include_str!("../../../migrations/postgres/0007_leases.sql")),
        migration(8, "backfills", include_str!("../../../migrations/postgres/0008_backfills.sql")),
        migration(9, "admin", include_str!("../../../migrations/postgres/0009_admin.sql")),
    ]);
    // The lock is ours, and is taken before the schema is made.
    migrations.set_locking(false);
    migrations
});

/// Connections of a process at most, without those by which orgs are written.
const CONNECTIONS: u32 = 6;
/// Connections by which orgs are written: whatever else asks, look-ups of keys that strangers make up above all, takes none of them.
/// The second is for the time in which the first is found to be broken.
const WRITING: u32 = 2;
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// A connection for writing orgs that was idle for longer is tried before it is used; any other is each time.
const STALE: Duration = Duration::from_millis(50);

/// What may stand behind the `?` of the address. Anything else is a mistake, or could take away what the store promises.
const PARAMETERS: [&str; 7] = ["sslmode", "sslrootcert", "sslcert", "sslkey", "host", "port", "user"];

/// Where a store is. Printing it shows neither user nor password.
#[derive(Clone)]
pub struct Server {
    options: PgConnectOptions,
    schema: String,
    shown: String,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.shown).field(&self.schema).finish()
    }
}

/// An address that cannot be used. Says nothing of its text, in which a password may stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ServerError(String);

impl Server {
    /// `postgres://user:password@host:port/database?sslmode=…`. A password that is not given is taken from `PGPASSWORD` or
    /// pgpass. `schema`: of lower-case letters, digits and `_`.
    ///
    /// # Errors
    /// An address or a schema's name that cannot be used.
    pub fn parse(address: &SecretString, schema: &str) -> Result<Server, ServerError> {
        let wrong = |why: &str| {
            ServerError(format!(
                "{why}; it is written postgres://user@host:5432/database, with a percent-encoded password"
            ))
        };
        let url = Url::parse(address.expose_secret()).map_err(|_| wrong("is not an address"))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(wrong("is not the address of a Postgres database"));
        }
        if let Some((name, _)) = url.query_pairs().find(|(name, _)| !PARAMETERS.contains(&name.as_ref())) {
            // A name, not a value.
            let known = PARAMETERS.join(", ");
            return Err(ServerError(format!("has the parameter `{name}`, which is none of {known}")));
        }
        if url.path().trim_matches('/').is_empty() {
            return Err(wrong("names no database"));
        }
        if !is_name(schema) {
            return Err(ServerError(
                "the schema's name is 1–63 lower-case letters, digits and `_`, and begins with a letter".into(),
            ));
        }
        let options: PgConnectOptions = url.as_str().parse().map_err(|_| wrong("cannot be read"))?;
        let shown = shown(&options);
        let options = options.application_name("nightmark");
        Ok(Server { options, schema: schema.to_owned(), shown })
    }
}

/// Without who logs in.
fn shown(options: &PgConnectOptions) -> String {
    let host = match options.get_socket() {
        Some(folder) => folder.display().to_string(),
        None => options.get_host().to_owned(),
    };
    format!("postgres://{host}:{}/{}", options.get_port(), options.get_database().unwrap_or_default())
}

/// Such a name needs no quotes, and has none that could end them.
fn is_name(schema: &str) -> bool {
    schema.len() <= 63
        && schema.starts_with(|c: char| c.is_ascii_lowercase())
        && schema.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !schema.starts_with("pg_")
}

impl PostgresStore {
    /// Opens the store, and makes its schema or brings it up to date if needed.
    ///
    /// # Errors
    /// [`StoreError::Open`] if that cannot be done, [`StoreError::Newer`] for a store of a newer version.
    pub async fn open(server: &Server) -> Result<PostgresStore, StoreError> {
        let (mut connection, found) = server.look(Access::Write).await?;
        let (found, known) = (not_newer(&server.shown, found, newest(&MIGRATIONS))?, newest(&MIGRATIONS));
        if found.is_none_or(|found| found < known) {
            if let Some(found) = found {
                // Before it is done, and loud: orgs may be most of the database, so that nothing of it is copied here.
                tracing::warn!(
                    event = "store_upgraded",
                    from = found,
                    to = known,
                    schema = server.schema,
                    "the schema of the state store is brought up to date now, in one transaction. Nothing of it was copied, and older versions refuse it \
                     from then on: what leads back is a dump from before (`pg_dump -n`, docs/STORE.md)"
                );
            }
            migrate(&mut connection, &server.schema).await.map_err(|reason| server.cannot_open(reason))?;
        }
        close(connection).await;
        Ok(PostgresStore {
            pool: server.pool(Access::Write, CONNECTIONS, Duration::ZERO),
            writing: server.pool(Access::Write, WRITING, STALE),
            fences: Arc::default(),
        })
    }

    /// Opens the store for reading only: the server itself refuses writes. Nothing is made or migrated. `None`: nothing has
    /// been stored in it yet.
    ///
    /// # Errors
    /// [`StoreError::Open`], [`StoreError::Newer`], [`StoreError::Older`].
    pub async fn open_existing_readonly(server: &Server) -> Result<Option<PostgresStore>, StoreError> {
        let (connection, found) = server.look(Access::Read).await?;
        close(connection).await;
        let found = as_known(&server.shown, found, newest(&MIGRATIONS))?;
        Ok(found.map(|_| {
            let pool = server.pool(Access::Read, CONNECTIONS, Duration::ZERO);
            PostgresStore { writing: pool.clone(), pool, fences: Arc::default() }
        }))
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

impl Server {
    /// A prepared connection, and the schema's version; `None` before the first migration.
    pub(super) async fn look(&self, access: Access) -> Result<(PgConnection, Option<i64>), StoreError> {
        let looking = async {
            let mut connection = self.options.connect().await?;
            prepare(&mut connection, &self.schema, access).await?;
            let found = version(&mut connection, &self.schema).await?;
            Ok::<_, sqlx::Error>((connection, found))
        };
        let late = |_| self.cannot_open(format!("the server does not answer within {} s", CONNECT.as_secs()));
        let looked = tokio::time::timeout(CONNECT, looking).await.map_err(late)?;
        looked.map_err(|error| self.cannot_open(without_preface(error.into())))
    }

    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    fn pool(&self, access: Access, connections: u32, stale: Duration) -> PgPool {
        let schema = self.schema.clone();
        PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(CONNECT)
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let schema = schema.clone();
                Box::pin(async move { prepare(connection, &schema, access).await })
            })
            // A server that was started anew has closed what was idle meanwhile. Whoever writes orgs under load leaves nothing idle for that
            // long, and a look before each use would double the way to the server and back.
            .before_acquire(move |connection, about| {
                Box::pin(async move {
                    if about.idle_for >= stale {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            // sqlx asks a connection that comes back whether it is well, and waits for as long as that takes: one whose server is gone without
            // a word would keep its place for a quarter of an hour, and with it whoever writes.
            .after_release(|connection, _| {
                Box::pin(async move {
                    let well = tokio::time::timeout(CONNECT, connection.ping()).await;
                    well.map_err(|_| sqlx::Error::PoolTimedOut)?.map(|()| true)
                })
            })
            .connect_lazy_with(self.options.clone())
    }

    fn cannot_open(&self, reason: impl ToString) -> StoreError {
        StoreError::Open { path: self.shown.clone(), reason: reason.to_string() }
    }
}

/// What went wrong, without that it was the store.
fn without_preface(error: StoreError) -> String {
    match error {
        StoreError::Database(said) | StoreError::Busy(said) | StoreError::Refused(said) => said,
        other => other.to_string(),
    }
}

pub(super) async fn close(connection: PgConnection) {
    // It has done its work; whether the server hears the farewell does not matter.
    let _ = connection.close().await;
}

/// What every statement of this module takes for granted. `synchronous_commit` stays as the server has it, but for `off`,
/// with which a commit that was answered could be lost. Plans are kept with the connection: one that was made while a table was
/// small would read all of it for each batch once it has a million rows, so that only indexes are used where there is one. A process that
/// stands still in the midst of a transaction loses it before others give up waiting for what it holds.
const PREPARE: &str = "
    SELECT set_config('search_path', $1, false),
        set_config('default_transaction_read_only', $2, false),
        set_config('default_transaction_isolation', 'read committed', false),
        set_config('synchronous_commit', replace(current_setting('synchronous_commit'), 'off', 'on'), false),
        set_config('statement_timeout', '25s', false),
        set_config('lock_timeout', '10s', false),
        set_config('idle_in_transaction_session_timeout', '6s', false),
        set_config('enable_seqscan', 'off', false),
        set_config('jit', 'off', false)";

async fn prepare(connection: &mut PgConnection, schema: &str, access: Access) -> Result<(), sqlx::Error> {
    let read_only = if access == Access::Read { "on" } else { "off" };
    sqlx::query(PREPARE).bind(schema).bind(read_only).execute(connection).await?;
    Ok(())
}

async fn version(connection: &mut PgConnection, schema: &str) -> Result<Option<i64>, sqlx::Error> {
    let exists = "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = '_sqlx_migrations')";
    if !sqlx::query_scalar(exists).bind(schema).fetch_one(&mut *connection).await? {
        return Ok(None);
    }
    sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(connection).await
}

/// In one transaction behind a lock that goes with it, so that of two processes that start together one migrates and the
/// other finds it done.
async fn migrate(connection: &mut PgConnection, schema: &str) -> Result<(), String> {
    let words = |error: sqlx::Error| without_preface(error.into());
    let mut transaction = connection.begin().await.map_err(words)?;
    let wait = "SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true)";
    sqlx::query(wait).execute(&mut *transaction).await.map_err(words)?;
    let lock = "SELECT pg_advisory_xact_lock(hashtext('nightmark'), hashtext($1))";
    sqlx::query(lock).bind(schema).execute(&mut *transaction).await.map_err(words)?;
    let missing = "SELECT NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)";
    if sqlx::query_scalar(missing).bind(schema).fetch_one(&mut *transaction).await.map_err(words)? {
        // `is_name` has seen to it that this is a name and nothing else.
        let create = AssertSqlSafe(format!("CREATE SCHEMA {schema}"));
        sqlx::query(create).execute(&mut *transaction).await.map_err(words)?;
    }
    MIGRATIONS
        .run(&mut *transaction)
        .await
        .map_err(|error| format!("its schema cannot be brought up to date: {error}"))?;
    transaction.commit().await.map_err(words)
}
