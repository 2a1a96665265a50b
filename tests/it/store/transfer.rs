//! State that is carried from one store into another: every table of every migration, with every kind of value.

use super::orgs::{done, upsert};
use super::{at, conforms, key, run};
use crate::support::postgres::{Cluster, Database};
use nightmark::store::postgres::PostgresStore;
use nightmark::store::sqlite::SqliteStore;
use nightmark::store::transfer::{Cell, Piece, Table, TransferStore};
use nightmark::store::{KeyStore, KeyUses, OrgStore, RunState, RunStore, StoreError};
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection};
use std::collections::BTreeMap;
use std::path::Path;
use tokio::sync::mpsc;

async fn carry(from: &impl TransferStore, to: &impl TransferStore) -> Result<(), StoreError> {
    let (sender, receiver) = mpsc::channel(2);
    let (exported, imported) = tokio::join!(from.export(sender), to.import(receiver));
    exported.unwrap();
    imported
}

/// All pieces, row by row.
async fn pieces(store: &impl TransferStore) -> Vec<(String, Vec<Cell>)> {
    let tables = store.tables().await.unwrap();
    let (sender, mut receiver) = mpsc::channel(1000);
    let reading = async {
        let mut all = Vec::new();
        while let Some(piece) = receiver.recv().await {
            match piece {
                Piece::Rows { table, rows } => {
                    all.extend(rows.into_iter().map(|row| (tables[table].name.clone(), row)));
                }
                Piece::End => return all,
            }
        }
        panic!("no end")
    };
    let (exported, all) = tokio::join!(store.export(sender), reading);
    exported.unwrap();
    all
}

async fn sqlite(path: &Path) -> SqliteStore {
    SqliteStore::open(path).await.unwrap()
}

async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnection::connect(path.to_str().unwrap()).await.unwrap()
}

/// What sqlite3 itself makes of a file, but for when its migrations were done.
fn dump(path: &Path) -> Vec<String> {
    let output = std::process::Command::new("sqlite3").arg(path).arg(".dump").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    // Rows of a table without a key of its own come in the order in which they were put.
    let mut lines: Vec<String> = text.lines().filter(|l| !l.contains("_sqlx_migrations")).map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Type and whether it may be NULL, of each column of a Postgres database, by its own catalogue.
fn columns_of(database: &Database) -> BTreeMap<(String, String), (String, bool)> {
    let sql = "SELECT table_name || ' ' || column_name || ' ' || is_nullable || ' ' || data_type FROM information_schema.columns \
               WHERE table_schema = 'nightmark'";
    let listed = Cluster::shared().sql(&database.name, sql);
    let of = |line: &str| {
        let mut words = line.splitn(4, ' ').map(str::to_owned);
        let mut next = || words.next().unwrap();
        ((next(), next()), (next() == "YES", next()))
    };
    listed.lines().map(of).map(|(name, (null, kind))| (name, (kind, null))).collect()
}

/// Tables of a SQLite file, by its own catalogue, and their columns: name, type, whether it may be NULL.
async fn tables_of(path: &Path) -> BTreeMap<String, Vec<(String, String, bool)>> {
    let mut connection = raw(path).await;
    let tables =
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('_sqlx_migrations', 'sqlite_sequence')";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut connection).await.unwrap();
    let mut all = BTreeMap::new();
    for table in tables {
        let columns = "SELECT name, type, \"notnull\" = 0 AND pk = 0 FROM pragma_table_info(?1)";
        let columns = sqlx::query_as(columns).bind(&table).fetch_all(&mut connection).await.unwrap();
        all.insert(table, columns);
    }
    all
}

/// Three rows in every table, whatever it means: large and small numbers, times, flags, text, JSON, bytes; the last with NULL wherever it may be.
async fn fill(path: &Path, types: &BTreeMap<(String, String), (String, bool)>) {
    let mut connection = raw(path).await;
    sqlx::query("PRAGMA foreign_keys = OFF").execute(&mut connection).await.unwrap();
    for (table, columns) in tables_of(path).await {
        for number in 1..=3_i64 {
            let (mut names, mut values) = (Vec::new(), Vec::new());
            for (column, kind, may_be_null) in &columns {
                let Some((there, null_there)) = types.get(&(table.clone(), column.clone())) else {
                    assert_eq!(
                        (table.as_str(), column.as_str()),
                        ("runs", "attempted_before"),
                        "it is not in Postgres"
                    );
                    continue;
                };
                names.push(format!("\"{column}\""));
                values.push(match (kind.as_str(), there.as_str()) {
                    _ if number == 3 && *may_be_null && *null_there => "NULL".to_owned(),
                    ("INTEGER", "boolean") => (number % 2).to_string(),
                    ("INTEGER", "timestamp with time zone") => (number * 1_700_000_000_123_457).to_string(),
                    ("INTEGER", _) => (i64::MAX - number).to_string(),
                    // It is JSON where that is asked for, and text elsewhere.
                    ("TEXT", _) => format!("'[{number},  \"é ''\\u0000\", 1.50]'"),
                    ("BLOB", _) => format!("x'00ff{number:02x}'"),
                    other => panic!("{table}.{column}: {other:?}"),
                });
            }
            let put = format!("INSERT INTO \"{table}\" ({}) VALUES ({})", names.join(", "), values.join(", "));
            sqlx::query(AssertSqlSafe(put)).execute(&mut connection).await.unwrap_or_else(|e| panic!("{table}: {e}"));
        }
    }
    connection.close().await.unwrap();
}

/// The test reads the tables from the databases' own catalogues: one that a later migration makes is in it without a word here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_table_goes_to_postgres_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first.db"), dir.path().join("second.db"));
    let database = Cluster::shared().database();
    let postgres = database.open().await;
    sqlite(&first).await.close().await;
    fill(&first, &columns_of(&database)).await;
    let tables = tables_of(&first).await;
    assert!(tables.len() >= 12, "{tables:?}");
    let from = sqlite(&first).await;
    carry(&from, &postgres).await.unwrap();
    // By the server's own count.
    for table in tables.keys() {
        let rows = Cluster::shared().sql(&database.name, &format!("SELECT count(*) FROM nightmark.{table}"));
        assert_eq!(rows, "3", "{table}");
    }
    let to = sqlite(&second).await;
    carry(&postgres, &to).await.unwrap();
    assert_eq!(pieces(&from).await, pieces(&to).await);
    from.close().await;
    to.close().await;
    let (before, after) = (dump(&first), dump(&second));
    assert!(before.len() > 3 * tables.len(), "{before:?}");
    assert_eq!(before, after);
    // SQLite into SQLite, and Postgres into Postgres.
    let (third, other) = (dir.path().join("third.db"), Cluster::shared().database());
    let third = sqlite(&third).await;
    carry(&sqlite(&second).await, &third).await.unwrap();
    carry(&postgres, &other.open().await).await.unwrap();
    assert_eq!(pieces(&third).await, pieces(&other.open().await).await);
}

/// Tables that only one of them has cannot be carried over, and a column of only one is lost.
#[tokio::test]
async fn both_have_the_same_tables() {
    let dir = tempfile::tempdir().unwrap();
    let names = |tables: Vec<Table>| -> Vec<String> {
        let mut all: Vec<String> =
            tables.iter().flat_map(|t| t.columns.iter().map(move |column| format!("{}.{column}", t.name))).collect();
        all.sort();
        all
    };
    let sqlite = sqlite(&dir.path().join("a.db")).await.tables().await.unwrap();
    let postgres = Cluster::shared().database().open().await.tables().await.unwrap();
    assert_eq!(names(sqlite.clone()), names(postgres.clone()));
    assert_eq!(sqlite, postgres, "and they come in the same order");
}

/// What a store of years has, by the words of the ports.
async fn all(store: &(impl RunStore + KeyStore + OrgStore)) -> String {
    let runs = store.runs(None, 1000).await.unwrap();
    let mut text =
        format!("{:?} {:?} {:?}", store.keys().await.unwrap(), store.orgs(None, 10_000).await.unwrap(), runs);
    for run in &runs {
        text += &format!("{:?}", store.events(&run.id).await.unwrap());
        text += &format!("{:?}", store.progress(&run.id).await.unwrap());
        text += &format!("{:?}", store.failures(&run.id, 1000).await.unwrap());
    }
    text + &format!("{:?} {:?}", store.refusals(None).await.unwrap(), store.destinations().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_ports_have_stored_is_there_after_the_move() {
    let dir = tempfile::tempdir().unwrap();
    let (old, back) = (sqlite(&dir.path().join("a.db")).await, sqlite(&dir.path().join("b.db")).await);
    conforms(&old).await;
    let postgres = Cluster::shared().database().open().await;
    carry(&old, &postgres).await.unwrap();
    // In what destinations have said a NUL is replaced.
    let before = all(&old).await.replace("\\0", "\u{FFFD}");
    assert!(before.contains('\u{FFFD}'));
    assert!(all(&postgres).await == before, "all is there");
    // Uses of keys, which Postgres keeps apart, go along.
    let used = KeyUses { key_id: "counted".to_owned(), ignored: 7, rejected: 0, last_used_at: at(99_999) };
    postgres.count_uses(&[used]).await.unwrap();
    carry(&postgres, &back).await.unwrap();
    assert!(all(&back).await == all(&postgres).await, "all is back");
    assert!(all(&back).await != before, "with what was counted meanwhile");
    // The next org gets the next number, in each of them.
    postgres.put_key(&nightmark::store::KeyRecord { expires_at: None, ..key("orgs_1", 101) }).await.unwrap();
    back.put_key(&nightmark::store::KeyRecord { expires_at: None, ..key("orgs_1", 101) }).await.unwrap();
    let new = [upsert("an org that nobody has had", 2000, |_| {})];
    let numbers = (done(&postgres, &new).await[0].target_org_id, done(&back, &new).await[0].target_org_id);
    let most = old.orgs(None, 10_000).await.unwrap().iter().map(|org| org.target_org_id).max().unwrap();
    assert!(numbers.0 > most && numbers.1 > most, "{numbers:?} {most}");
}

async fn refuses_to_mix(store: &(impl TransferStore + RunStore), from: &impl TransferStore) {
    store.put_run(&run("r", "a", RunState::Finished, 0), at(0)).await.unwrap();
    let before = pieces(store).await;
    let error = carry(from, store).await.unwrap_err().to_string();
    assert!(
        error.contains("runs: 1") && error.contains("run_events: 1") && error.contains("import into a new one"),
        "{error}"
    );
    assert_eq!(pieces(store).await, before);
}

/// Rows, but no end.
async fn takes_nothing_that_breaks_off(store: &impl TransferStore) {
    let before = pieces(store).await;
    let tables = store.tables().await.unwrap();
    let table = tables.iter().position(|table| table.name == "schedules").unwrap();
    let (sender, receiver) = mpsc::channel(2);
    let text = |text: &str| Cell::Text(text.to_owned());
    sender.send(Piece::Rows { table, rows: vec![vec![text("job"), text("@daily"), Cell::Integer(1)]] }).await.unwrap();
    drop(sender);
    let error = store.import(receiver).await.unwrap_err().to_string();
    assert!(error.contains("broke off"), "{error}");
    assert_eq!(pieces(store).await, before, "nothing is left of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_is_whole_and_into_nothing_or_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let from = sqlite(&dir.path().join("from.db")).await;
    let (file, postgres) = (sqlite(&dir.path().join("to.db")).await, Cluster::shared().database().open().await);
    takes_nothing_that_breaks_off(&file).await;
    takes_nothing_that_breaks_off(&postgres).await;
    refuses_to_mix(&file, &from).await;
    refuses_to_mix(&postgres, &from).await;
}

/// Postgres holds no NUL. In words for people it is replaced, as everywhere; an id would become another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_postgres_cannot_hold_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let from = sqlite(&dir.path().join("from.db")).await;
    let mut record = run("r", "a", RunState::Failed, 0);
    record.reason = Some("it said \0".to_owned());
    from.put_run(&record, at(0)).await.unwrap();
    let postgres = Cluster::shared().database().open().await;
    carry(&from, &postgres).await.unwrap();
    assert_eq!(postgres.run("r").await.unwrap().unwrap().reason.as_deref(), Some("it said \u{FFFD}"));
    from.put_key(&key("orgs_1", 101)).await.unwrap();
    done(&from, &[upsert("org\0", 0, |_| {})]).await;
    let other: PostgresStore = Cluster::shared().database().open().await;
    let before = pieces(&other).await;
    let error = carry(&from, &other).await.unwrap_err().to_string();
    assert!(error.contains("orgs.product_org_id has a NUL"), "{error}");
    assert_eq!(pieces(&other).await, before);
}

/// A file that began with the first version: rows of runs of then may have been applied, and count as such.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_first_version_has_stored_goes_along_carefully() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("old.db");
    let from = sqlite(&path).await;
    from.put_run(&run("r", "a", RunState::Superseded, 0), at(0)).await.unwrap();
    let mut connection = raw(&path).await;
    let put = "UPDATE runs SET attempted_before = 3;
        INSERT INTO receipts (run_id, seq, outcome, status, attempts, detail, at) VALUES
        ('r', 0, 'acknowledged', 200, 1, NULL, 1), ('r', 1, 'refused', 400, 1, 'no', 1), ('r', 2, 'unknown', NULL, 2, NULL, 1)";
    sqlx::raw_sql(put).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let failures = from.failures("r", 10).await.unwrap();
    let postgres = Cluster::shared().database().open().await;
    carry(&from, &postgres).await.unwrap();
    assert!(postgres.progress("r").await.unwrap().forgotten, "which of them were applied is not known");
    let after = postgres.failures("r", 10).await.unwrap();
    assert_eq!(after, failures.into_iter().filter(|failure| failure.seq > 0).collect::<Vec<_>>());
}
