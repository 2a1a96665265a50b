//! Whose turn it was to tell, and is not any more: over a real Postgres, with leases that are taken away.

use crate::support::postgres::{Cluster, Database};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use nightmark::alerts::channel::Channel;
use nightmark::alerts::message::Message;
use nightmark::alerts::watch::{Jobs, Watch};
use nightmark::clock::Clock;
use nightmark::lease::{Kept, Leases, Turn};
use nightmark::store::postgres::PostgresStore;
use nightmark::store::{AlertStore, ShareStore, StateStore, StoreError};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

#[derive(Debug)]
struct Moved(Mutex<DateTime<Utc>>);

impl Clock for Moved {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }

    fn random(&self) -> u128 {
        4
    }
}

/// What was heard, unless it is deaf.
#[derive(Default)]
struct Ear {
    heard: Mutex<Vec<String>>,
    is_deaf: Mutex<bool>,
}

struct Mouth(Arc<Ear>);

#[async_trait]
impl Channel for Mouth {
    fn name(&self) -> &'static str {
        "test"
    }

    async fn send(&self, message: &Message) -> Result<(), String> {
        if *self.0.is_deaf.lock().unwrap() {
            return Err("deaf".to_owned());
        }
        self.0.heard.lock().unwrap().push(message.subject.clone());
        Ok(())
    }
}

impl Ear {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}

/// A daemon of the fleet, with its turn.
struct Teller {
    watch: Watch,
    clock: Arc<Moved>,
    ear: Arc<Ear>,
    store: Arc<PostgresStore>,
    _kept: Kept,
    _note: tempfile::TempDir,
}

impl Teller {
    /// Takes the turn from whoever has it. `faulty`: what is wrong with a job.
    async fn new(database: &Database, faulty: Option<&'static str>) -> Teller {
        let store = Arc::new(database.open().await);
        Cluster::shared().sql(&database.name, "UPDATE nightmark.leases SET until = '-infinity'");
        let clock = Arc::new(Moved(Mutex::new("2026-06-15T00:00:00Z".parse().unwrap())));
        // So long that nobody finds out by asking that it is over.
        let length = Duration::from_secs(3600);
        let leases = Leases::new(Arc::clone(&store) as Arc<dyn ShareStore>, Arc::clone(&clock) as _, "here", length);
        let note = tempfile::tempdir().unwrap();
        let kept = leases.take_from(&note.path().join("note"), "schedules/f", "tells").await.unwrap().unwrap();
        let turn = watch::Sender::new(Some(Turn::under(&leases, &kept))).subscribe();
        let ear: Arc<Ear> = Arc::default();
        let jobs = move || Jobs {
            sound: Vec::new(),
            faulty: faulty.map(|why| ("orgs".to_owned(), why.to_owned())).into_iter().collect(),
        };
        let plain = Arc::clone(&store) as Arc<dyn StateStore>;
        let channels: Vec<Box<dyn Channel>> = vec![Box::new(Mouth(Arc::clone(&ear)))];
        let watch = Watch::new(plain, Arc::clone(&clock) as _, channels, Arc::new(jobs));
        let watch = watch.at("fleet f".to_owned()).in_turn(turn);
        Teller { watch, clock, ear, store, _kept: kept, _note: note }
    }

    async fn look(&self) -> Result<Vec<String>, StoreError> {
        self.watch.look(&watch::channel(false).1).await?;
        Ok(self.ear.take())
    }

    async fn remembers(&self) -> Vec<(String, Vec<String>)> {
        self.store.alerts().await.unwrap().into_iter().map(|alert| (alert.kind, alert.told)).collect()
    }
}

const WRONG: &str = "[nightmark] orgs: the job file has mistakes";

#[tokio::test]
async fn what_whoever_has_lost_its_turn_would_put_down_is_refused() {
    let database = Cluster::shared().database();
    let first = Teller::new(&database, Some("nonsense")).await;
    assert_eq!(first.look().await.unwrap(), [WRONG]);
    let next = Teller::new(&database, None).await;
    assert_eq!(next.look().await.unwrap(), ["[nightmark] orgs: right again (the job file has mistakes)"]);
    assert_eq!(next.remembers().await, []);
    // It still takes the turn for its own, finds the file as it was, and would tell it anew.
    let refused = first.look().await;
    assert!(matches!(refused, Err(StoreError::LeaseLost(_))), "{refused:?}");
    assert_eq!((first.ear.take(), next.remembers().await), (vec![], vec![]));
    // Nor does it forget what another has found.
    let again = Teller::new(&database, Some("nonsense")).await;
    assert_eq!(again.look().await.unwrap(), [WRONG]);
    let refused = next.look().await;
    assert!(matches!(refused, Err(StoreError::LeaseLost(_))), "{refused:?}");
    assert_eq!((next.ear.take(), again.remembers().await), (vec![], vec![("faulty".into(), vec!["test".into()])]));
}

#[tokio::test]
async fn whoever_finds_that_its_turn_is_over_tells_nothing_more() {
    let database = Cluster::shared().database();
    let first = Teller::new(&database, Some("nonsense")).await;
    *first.ear.is_deaf.lock().unwrap() = true;
    assert_eq!(first.look().await.unwrap(), Vec::<String>::new());
    *first.ear.is_deaf.lock().unwrap() = false;
    // It has stood still for so long that another may have the turn.
    *first.clock.0.lock().unwrap() += TimeDelta::hours(1);
    assert_eq!(first.look().await.unwrap(), Vec::<String>::new());
    assert_eq!(first.remembers().await, [("faulty".to_owned(), vec![])]);
    let next = Teller::new(&database, Some("nonsense")).await;
    assert_eq!(next.look().await.unwrap(), [WRONG]);
    assert_eq!(next.remembers().await, [("faulty".to_owned(), vec!["test".to_owned()])]);
}
