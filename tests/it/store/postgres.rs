//! Postgres: the conformance suite, and what only a server that others use too can do wrong.

use super::orgs::upsert;
use super::{at, conforms, key, run};
use crate::delivery::pki::Ca;
use crate::support::postgres::{Cluster, PASSWORD, USER};
use nightmark::store::postgres::{PostgresStore, Server};
use nightmark::store::{
    KeyRecord, KeyStore, OrgStore, Patch, RefusalStore, RunState, RunStore, StoreError, UpsertOutcome,
};
use secrecy::{ExposeSecret, SecretString};
use sqlx::Connection;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[tokio::test]
async fn postgres_conforms_and_reopening_keeps_all() {
    let database = Cluster::shared().database();
    let store = database.open().await;
    conforms(&store).await;
    let all = async |store: &PostgresStore| {
        let runs = store.runs(None, 100).await.unwrap();
        let progress = store.progress("p1").await.unwrap();
        let orgs = store.orgs(None, 10_000).await.unwrap();
        (runs, progress, store.refusals(None).await.unwrap(), store.keys().await.unwrap(), orgs)
    };
    let before = all(&store).await;
    store.close().await;
    assert_eq!(all(&database.open().await).await, before);
    let reader = PostgresStore::open_existing_readonly(&database.server()).await.unwrap().unwrap();
    assert_eq!(all(&reader).await, before);
    let refused = reader.put_run(&run("x", "x", RunState::Extracting, 0), at(0)).await.unwrap_err().to_string();
    assert!(refused.contains("read-only"), "{refused}");
    assert_eq!(all(&reader).await, before);
}

#[tokio::test]
async fn looking_changes_nothing() {
    let (cluster, database) = (Cluster::shared(), Cluster::shared().database());
    assert!(PostgresStore::open_existing_readonly(&database.server()).await.unwrap().is_none());
    assert_eq!(cluster.sql(&database.name, "SELECT count(*) FROM pg_namespace WHERE nspname = 'nightmark'"), "0");
    database.open().await.close().await;
    let reader = PostgresStore::open_existing_readonly(&database.server()).await.unwrap().unwrap();
    assert!(reader.runs(None, 1).await.unwrap().is_empty());
    assert_eq!(cluster.sql(&database.name, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "0");
}

#[tokio::test]
async fn several_processes_may_start_on_an_empty_database() {
    let database = Cluster::shared().database();
    let server = database.server();
    let opened = futures_util::future::join_all((0..8).map(|_| PostgresStore::open(&server))).await;
    for (index, store) in opened.into_iter().enumerate() {
        store.unwrap().put_run(&run(&format!("r{index}"), "a", RunState::Extracting, 0), at(0)).await.unwrap();
    }
    assert_eq!(database.open().await.runs(None, 100).await.unwrap().len(), 8);
}

#[tokio::test]
async fn what_cannot_be_opened_says_why_and_shows_no_password() {
    let (cluster, database) = (Cluster::shared(), Cluster::shared().database());
    let check = async |url: &str, part: &str| {
        let server = Server::parse(&SecretString::from(url), "nightmark").unwrap();
        assert!(!format!("{server:?}").contains("planted"), "{server:?}");
        for error in
            [PostgresStore::open(&server).await.err(), PostgresStore::open_existing_readonly(&server).await.err()]
        {
            let (shown, debug) = error.map(|error| (error.to_string(), format!("{error:?}"))).expect("refused");
            assert!(shown.contains(part) && shown.contains("postgres://127.0.0.1:"), "{shown}");
            assert!(!format!("{shown}{debug}").contains("planted") && !debug.contains(PASSWORD), "{shown} {debug}");
        }
    };
    let url = database.url();
    check(&url.replace("planted", "planted-wrong"), "mend user and password").await;
    check(&url.replace(&database.name, "nowhere"), "create the database").await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    check(&url.replace(&format!(":{}/", database.port), &format!(":{nobody}/")), "cannot be reached").await;
    check(&format!("{url}?sslmode=require"), "TLS").await;

    let store = database.open().await;
    assert!(!format!("{store:?}").contains("planted"), "{store:?}");
    store.close().await;
    let set = "UPDATE nightmark._sqlx_migrations SET version = 9999 WHERE version = (SELECT max(version) FROM \
               nightmark._sqlx_migrations)";
    cluster.sql(&database.name, set);
    check(&url, "schema 9999").await;
    cluster.sql(&database.name, "UPDATE nightmark._sqlx_migrations SET version = 0 WHERE version = 9999");
    cluster.sql(&database.name, "DELETE FROM nightmark._sqlx_migrations WHERE version > 0");
    let error = PostgresStore::open_existing_readonly(&database.server()).await.unwrap_err();
    assert!(matches!(error, StoreError::Older { found: 0, .. }), "{error}");
}

#[test]
fn an_address_that_cannot_be_used_is_not_repeated() {
    for (url, schema, part) in [
        ("planted", "nightmark", "is not an address"),
        ("mysql://u:planted@h/d", "nightmark", "is not the address of a Postgres database"),
        ("postgres://u:planted@h:port/d", "nightmark", "is not an address"),
        ("postgres://u:planted@h", "nightmark", "names no database"),
        ("postgres://u@h/d?sslmode=planted", "nightmark", "cannot be read"),
        ("postgres://u@h/d?password=planted", "nightmark", "the parameter `password`"),
        ("postgres://u:planted@h/d?options=-csynchronous_commit=off", "nightmark", "the parameter `options`"),
        ("postgres://u:planted@h/d", "public\"; DROP", "the schema's name"),
        ("postgres://u:planted@h/d", "pg_mine", "the schema's name"),
    ] {
        let error = Server::parse(&SecretString::from(url), schema).unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains("planted"), "{url}: {error}");
    }
}

/// The way to a server, on which connections that were made before [`cut`](Way::cut) hang: nothing comes through, and nobody is told.
struct Way {
    port: u16,
    cuts: watch::Sender<u32>,
}

impl Way {
    async fn to(port: u16) -> Way {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let way = Way { port: listener.local_addr().unwrap().port(), cuts: watch::Sender::new(0) };
        let cuts = way.cuts.subscribe();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut cuts = cuts.clone();
                tokio::spawn(async move {
                    let made = *cuts.borrow_and_update();
                    let mut far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    let cut = async { cuts.wait_for(|cut| *cut > made).await.map(drop) };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        // Both ends stay open.
                        Ok(()) = cut => std::future::pending().await,
                    }
                });
            }
        });
        way
    }

    fn cut(&self) {
        self.cuts.send_modify(|cut| *cut += 1);
    }
}

/// A network that swallows everything, as in a failover: what was on the way is given up, and so are the connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_hang_keep_no_place() {
    let database = Cluster::shared().database();
    let way = Way::to(database.port).await;
    let url = database.url().replace(&format!(":{}/", database.port), &format!(":{}/", way.port));
    let store = PostgresStore::open(&Server::parse(&SecretString::from(url), "nightmark").unwrap()).await.unwrap();
    store.put_key(&KeyRecord { expires_at: None, ..key("orgs_1", 1) }).await.unwrap();
    let write = async |org: &str| store.upsert_orgs(&[upsert(org, 1, |_| {})]).await;
    let both = async || tokio::join!(write("a"), write("b"));
    let (one, two) = both().await;
    one.and(two).unwrap();
    way.cut();
    let (one, two) = both().await;
    assert!(one.is_err() || two.is_err(), "nothing hangs");
    let begun = Instant::now();
    while let Err(error) = write("c").await {
        assert!(begun.elapsed() < Duration::from_secs(60), "{error}");
    }
    let (one, two) = both().await;
    one.and(two).unwrap();
}

/// Whatever waits for the store, and be it look-ups of keys that strangers make up, orgs are written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orgs_are_written_however_many_calls_wait() {
    let database = Cluster::shared().database();
    let store = database.open().await;
    store.put_key(&KeyRecord { expires_at: None, ..key("orgs_1", 1) }).await.unwrap();
    let url = SecretString::from(database.url());
    let mut lock = sqlx::PgConnection::connect(url.expose_secret()).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE nightmark.runs IN ACCESS EXCLUSIVE MODE").execute(&mut lock).await.unwrap();
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.runs(None, 1).await })
        })
        .collect();
    // As many as may have come to the lock.
    let locked =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while Cluster::shared().sql(&database.name, locked).parse::<usize>().unwrap() < 6 {}
    let written = store.upsert_orgs(&[upsert("a", 1, |_| {})]).await;
    assert!(matches!(written.unwrap()[..], [UpsertOutcome::Done(_)]));
    let still = Cluster::shared().sql(&database.name, locked);
    assert_eq!(still, "6", "they wait all the while, and hold no more connections than they may");
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    lock.close().await.unwrap();
}

/// What the database refuses of an update, and what it holds that cannot be read, is told from its being away.
#[tokio::test]
async fn what_is_wrong_with_one_update_is_told_from_other_trouble() {
    let (cluster, database) = (Cluster::shared(), Cluster::shared().database());
    let store = database.open().await;
    store.put_key(&KeyRecord { expires_at: None, ..key("orgs_1", 1) }).await.unwrap();
    let store_org = async |id: &str, name: &str| {
        let named = upsert(id, 1, |patch| patch.name = Patch::Set(name.to_owned()));
        store.upsert_orgs(&[named]).await
    };
    let nul = store_org("nul", "a\0b").await.unwrap_err();
    assert!(matches!(nul, StoreError::Refused(_)), "{nul}");
    store_org("short", "a").await.unwrap();
    cluster.sql(&database.name, "UPDATE nightmark.orgs SET changes = 0 WHERE product_org_id = 'short'");
    let short = store_org("short", "b").await.unwrap_err();
    assert!(matches!(short, StoreError::Corrupt(_)), "its history goes further than it says: {short}");
    cluster.sql(&database.name, "ALTER TABLE nightmark.orgs ALTER mrr TYPE text USING 'x'");
    let typed = store.org("short").await.unwrap_err();
    assert!(matches!(typed, StoreError::Corrupt(_)), "{typed}");
    cluster.sql(&database.name, "ALTER TABLE nightmark.orgs RENAME TO elsewhere");
    let gone = store_org("gone", "a").await.unwrap_err();
    assert!(matches!(gone, StoreError::Database(_)), "{gone}");
}

/// With `synchronous_commit = off`, and a server that is slow to write its log, what was answered last would be lost.
#[tokio::test]
async fn what_was_answered_survives_a_crash_whatever_the_server_is_set_to() {
    let cluster = Cluster::start();
    let database = cluster.database();
    for (index, setting) in ["on", "off", "local"].into_iter().enumerate() {
        cluster.sql("postgres", &format!("ALTER SYSTEM SET synchronous_commit = {setting}"));
        cluster.sql("postgres", "ALTER SYSTEM SET wal_writer_delay = '10s'");
        cluster.stop();
        cluster.resume();
        assert_eq!(cluster.sql(&database.name, "SHOW synchronous_commit"), setting);
        let store = database.open().await;
        store.put_run(&run(setting, "a", RunState::Extracting, 0), at(0)).await.unwrap();
        cluster.crash();
        cluster.resume();
        assert_eq!(database.open().await.runs(None, 10).await.unwrap().len(), index + 1, "{setting}");
    }
}

#[tokio::test]
async fn what_travels_is_encrypted_and_the_server_is_who_it_says() {
    let cluster = Cluster::start();
    let database = cluster.database();
    let (ca, other) = (Ca::new(), Ca::new());
    let (certificate, key) = ca.certificate("localhost");
    cluster.write("data/server.crt", &certificate);
    cluster.write("data/server.key", &key);
    cluster.sql("postgres", "ALTER SYSTEM SET ssl = on");
    cluster.stop();
    cluster.resume();
    let folder = tempfile::tempdir().unwrap();
    let trusted = |name: &str, ca: &Ca| {
        std::fs::write(folder.path().join(name), &ca.pem).unwrap();
        folder.path().join(name).display().to_string()
    };
    let (ca, other) = (trusted("ca.pem", &ca), trusted("other.pem", &other));
    let open = async |host: &str, mode: &str, ca: &str| {
        let url = database.url().replace("@127.0.0.1:", &format!("@{host}:"));
        let url = format!("{url}?sslmode={mode}&sslrootcert={ca}");
        PostgresStore::open(&Server::parse(&SecretString::from(url), "nightmark").unwrap()).await
    };
    let encrypted = async |mode: &str| {
        let store = open("localhost", mode, &ca).await.unwrap();
        store.runs(None, 1).await.unwrap();
        let seen = format!(
            "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = '{USER}' AND datname = '{}'",
            database.name
        );
        let seen = cluster.sql("postgres", &seen);
        store.close().await;
        seen
    };
    assert_eq!(encrypted("verify-full").await, "t");
    assert_eq!(encrypted("prefer").await, "t");
    assert_eq!(encrypted("disable").await, "f");
    for (host, mode, ca) in [("localhost", "verify-ca", &other), ("127.0.0.1", "verify-full", &ca)] {
        let error = open(host, mode, ca).await.unwrap_err().to_string();
        assert!(error.contains("certificate") && !error.contains("planted"), "{host} {mode}: {error}");
    }
    open("127.0.0.1", "verify-ca", &ca).await.unwrap();
}
