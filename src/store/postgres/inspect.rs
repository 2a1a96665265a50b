//! A look at the database from outside.

use super::PostgresStore;
use super::columns::Moment;
use super::open::{Access, MIGRATIONS, Server, close};
use crate::store::schema::newest;
use crate::store::{Inspected, StoreError};
use sqlx::{PgConnection, Row as _};

/// What a role needs to work with a schema that is there, or to make one.
const MAY_WRITE: &str = "
    SELECT CASE WHEN EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)
        THEN has_schema_privilege($1, 'USAGE') AND COALESCE((SELECT bool_and(has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE')
                AND has_table_privilege(c.oid, 'DELETE')) FROM pg_class c
                JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r'), has_schema_privilege($1, 'CREATE'))
        ELSE has_database_privilege(current_database(), 'CREATE') END";
/// Sessions that keep others from writing our tables.
const HOLDERS: &str = "
    SELECT DISTINCT l.pid, COALESCE(a.application_name, '') AS name, COALESCE(a.usename::text, '') AS role
    FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE n.nspname = $1 AND l.granted AND l.pid <> pg_backend_pid() AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
    ORDER BY l.pid";

impl PostgresStore {
    pub(in crate::store) async fn inspect(server: &Server) -> Result<Inspected, StoreError> {
        let (mut connection, found) = server.look(Access::Read).await?;
        let now: Moment = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&mut connection).await?;
        let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(&mut connection).await?;
        let unwritable = unwritable(&mut connection, server.schema()).await?;
        close(connection).await;
        let (engine, known) = (format!("PostgreSQL {version}"), newest(&MIGRATIONS));
        Ok(Inspected { engine, found, known, now: Some(now.0), damage: Vec::new(), unwritable })
    }
}

async fn unwritable(connection: &mut PgConnection, schema: &str) -> Result<Option<String>, StoreError> {
    if sqlx::query_scalar("SELECT pg_is_in_recovery()").fetch_one(&mut *connection).await? {
        return Ok(Some(
            "the server is a standby, which takes no writes: [store] url must lead to the primary".to_owned(),
        ));
    }
    if !sqlx::query_scalar::<_, bool>(MAY_WRITE).bind(schema).fetch_one(&mut *connection).await? {
        let role: String = sqlx::query_scalar("SELECT current_user::text").fetch_one(&mut *connection).await?;
        return Ok(Some(format!("the role {role} may not write the schema {schema}: let it own the schema")));
    }
    let holders = sqlx::query(HOLDERS).bind(schema).fetch_all(&mut *connection).await?;
    let told = |row: &sqlx::postgres::PgRow| {
        let (pid, name, role): (i32, String, String) =
            (row.try_get("pid")?, row.try_get("name")?, row.try_get("role")?);
        Ok::<_, sqlx::Error>(format!("session {pid} ({name}, role {role})"))
    };
    let holders = holders.iter().map(told).collect::<Result<Vec<_>, _>>()?;
    Ok((!holders.is_empty()).then(|| {
        format!("{} has locked tables of it; SELECT pg_terminate_backend(PID) ends a session", holders.join(", "))
    }))
}
