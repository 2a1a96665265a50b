//! Several processes on one Postgres store: nothing that one of them was answered is lost by what another does.

use super::orgs::{done, upsert};
use super::{at, key, receipt, run};
use crate::support::postgres::Cluster;
use nightmark::receipt::{Outcome, Progress};
use nightmark::store::postgres::PostgresStore;
use nightmark::store::{
    KeyRecord, KeyStore, KeyUse, KeyUses, OrgStore, OrgUpsert, Patch, RefusalStore, RunKind, RunRecord, RunState,
    RunStore, StoreError, UpsertOutcome,
};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Two processes that deliver different rows of one run: neither takes the other's word back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_lose_no_receipt() {
    let database = Cluster::shared().database();
    let (one, two) = (database.open().await, database.open().await);
    one.put_run(&run("w", "w", RunState::Delivering, 0), at(0)).await.unwrap();
    let write = async |store: &PostgresStore, start: u64| {
        for seq in (start..200).step_by(2) {
            let outcome = if seq % 3 == 0 { Outcome::Refused } else { Outcome::Acknowledged };
            store.commit("w", std::slice::from_ref(&(seq..seq + 1)), &[receipt(seq, outcome)]).await.unwrap();
        }
    };
    tokio::join!(write(&one, 0), write(&two, 1));
    let mut expected = Progress::default();
    for seq in 0..200 {
        expected.receive(seq, if seq % 3 == 0 { Outcome::Refused } else { Outcome::Acknowledged });
    }
    assert_eq!(one.progress("w").await.unwrap(), expected);
    assert_eq!(two.failures("w", 1000).await.unwrap().len(), 67);
    assert_eq!(two.refusals(Some("w")).await.unwrap().len(), 67);
}

/// Machines that begin a backfill of one job at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_begin_a_backfill_at_once_one_does() {
    let database = Cluster::shared().database();
    let stores = [database.open().await, database.open().await];
    for round in 0..20 {
        let begun = (0..8).map(|at_once| {
            let store = stores[at_once % 2].clone();
            let id = format!("{round} {at_once}");
            let backfill = RunRecord { kind: RunKind::Backfill, ..run(&id, "b", RunState::Published, round) };
            tokio::spawn(async move { store.begin_backfill(&backfill, at(round)).await.unwrap() })
        });
        let told: Vec<_> = futures_util::future::join_all(begun).await.into_iter().map(Result::unwrap).collect();
        let open = stores[0].open_backfill("b").await.unwrap().unwrap();
        assert_eq!(told.iter().filter(|open| open.is_none()).count(), 1, "{told:?}");
        assert!(told.iter().flatten().all(|other| *other == open), "{told:?}");
        assert_eq!(stores[1].backfills(Some("b"), 100).await.unwrap().len() as i64, round + 1);
        stores[1].put_run(&RunRecord { state: RunState::Finished, ..open }, at(round)).await.unwrap();
    }
}

/// Several receivers of the same keys, which count in different orders, while somebody changes one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_use_is_lost_and_one_change_wins() {
    let database = Cluster::shared().database();
    let stores = [database.open().await, database.open().await, database.open().await];
    stores[0].put_key(&key("key_1", 1)).await.unwrap();
    stores[0].put_key(&KeyRecord { previous: None, ..key("key_2", 2) }).await.unwrap();
    let count = async |store: &PostgresStore, reversed: bool| {
        for round in 0..50 {
            let uses = |id: &str| KeyUses { key_id: id.to_owned(), ignored: 1, rejected: 2, last_used_at: at(round) };
            let mut both = [uses("key_1"), uses("key_2")];
            if reversed {
                both.reverse();
            }
            store.count_uses(&both).await.unwrap();
        }
    };
    let change = async |store: &PostgresStore| {
        let mut done = 0;
        for _ in 0..30 {
            let mut record = store.key("key_1").await.unwrap().unwrap();
            record.name.push('x');
            done += usize::from(store.change_key(&record).await.unwrap());
        }
        done
    };
    let ((), (), one, two) =
        tokio::join!(count(&stores[0], false), count(&stores[1], true), change(&stores[1]), change(&stores[2]));
    let named = stores[0].key("key_1").await.unwrap().unwrap();
    assert_eq!(named.name.matches('x').count(), one + two, "each change that was said to be done is there");
    assert_eq!(named.revision, 1 + (one + two) as i64);
    for record in stores[2].keys().await.unwrap() {
        assert_eq!((record.counts.ignored, record.counts.rejected), (100, 200), "{}", record.id);
        assert_eq!(record.last_used_at, Some(at(49)));
    }
}

/// Two receivers that get updates of the same orgs, in opposite orders, most of them of orgs that are new to both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_receivers_of_the_same_orgs_lose_nothing() {
    const ROUNDS: i64 = 30;
    let database = Cluster::shared().database();
    let (one, two) = (database.open().await, database.open().await);
    one.put_key(&KeyRecord { expires_at: None, ..key("orgs_1", 1) }).await.unwrap();
    let write = async |store: &PostgresStore, who: &'static str, reversed: bool| {
        let mut new = Vec::new();
        for round in 0..ROUNDS {
            // Each round has some orgs of the round before, and some that nobody has seen.
            let mut batch: Vec<OrgUpsert> = (round * 5..round * 5 + 20)
                .map(|org| {
                    upsert(&format!("shared_{org:03}"), round, |patch| {
                        patch.user_count = Patch::Set(round);
                        patch.custom = BTreeMap::from([(format!("{who}_{round}"), Patch::Set(json!(round)))]);
                    })
                })
                .collect();
            if reversed {
                batch.reverse();
            }
            let outcomes = done(store, &batch).await;
            let ids = batch.into_iter().map(|upsert| upsert.patch.product_org_id);
            new.extend(ids.zip(outcomes).filter(|(_, outcome)| outcome.is_new).map(|(id, _)| id));
        }
        new
    };
    let (mut new, others) = tokio::join!(write(&one, "a", false), write(&two, "b", true));
    new.extend(others);
    new.sort_unstable();
    let orgs = two.orgs(None, 10_000).await.unwrap();
    let ids: Vec<_> = orgs.iter().map(|org| org.product_org_id.clone()).collect();
    assert_eq!(new, ids, "each org is new once, to one of them");
    for org in &orgs {
        let number: i64 = org.product_org_id["shared_".len()..].parse().unwrap();
        let rounds = (0..ROUNDS).filter(|round| (round * 5..round * 5 + 20).contains(&number));
        let mut expected: Vec<_> = rounds.flat_map(|round| [format!("a_{round}"), format!("b_{round}")]).collect();
        let mut found: Vec<_> = org.fields.custom.keys().cloned().collect();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "{}", org.product_org_id);
        let history = one.history(&org.product_org_id, None, 1000).await.unwrap();
        let numbers: Vec<i64> = history.iter().map(|change| change.number).collect();
        assert_eq!(numbers, (1..=expected.len() as i64).collect::<Vec<_>>(), "{}: without a gap", org.product_org_id);
    }
    let counts = one.key("orgs_1").await.unwrap().unwrap().counts;
    assert_eq!(counts.stored, 2 * 20 * ROUNDS as u64);
}

/// The same update by two receivers at once, as a sender's retry behind a load balancer makes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_through_another_receiver_is_one() {
    let database = Cluster::shared().database();
    let (one, two) = (database.open().await, database.open().await);
    one.put_key(&KeyRecord { expires_at: None, ..key("orgs_1", 1) }).await.unwrap();
    for round in 0..40 {
        let sent = OrgUpsert {
            idempotency_id: Some(format!("m{round}")),
            // Every other one is of an org that is there.
            ..upsert(&format!("org_{}", round / 2), round, |patch| patch.mrr = Patch::Set(round))
        };
        let sent = std::slice::from_ref(&sent);
        let (first, second) = tokio::join!(done(&one, sent), done(&two, sent));
        assert_ne!(first[0].repeated, second[0].repeated, "{round}");
        assert_eq!((first[0].is_new, first[0].target_org_id), (second[0].is_new, second[0].target_org_id), "{round}");
    }
    assert_eq!(one.key("orgs_1").await.unwrap().unwrap().counts.stored, 40);
}

/// Once somebody has been told that a key is revoked, nothing more is written with it, whoever has it in memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_with_a_key_that_was_revoked_elsewhere() {
    let database = Cluster::shared().database();
    let (one, two) = (database.open().await, database.open().await);
    for attempt in 0..5u8 {
        let id = format!("key_{attempt}");
        one.put_key(&KeyRecord { expires_at: None, previous: None, ..key(&id, attempt + 1) }).await.unwrap();
        let write = async {
            for number in 0.. {
                let sent = OrgUpsert {
                    key: KeyUse { id: id.clone(), revision: 1 },
                    ..upsert(&format!("{id}_{number}"), 1, |_| {})
                };
                if one.upsert_orgs(&[sent]).await.unwrap() == [UpsertOutcome::KeyChanged] {
                    return number;
                }
            }
            unreachable!()
        };
        let revoke = async {
            // Not before something was written.
            while two.orgs(None, 1000).await.unwrap().iter().all(|org| org.key_id != id) {}
            assert!(two.revoke_key(&id, at(5)).await.unwrap().unwrap().revoked_at.is_some());
            two.orgs(None, 10_000).await.unwrap().iter().filter(|org| org.key_id == id).count()
        };
        let (written, there) = tokio::join!(write, revoke);
        assert_eq!(there, written, "what was written was there when the key was said to be revoked");
    }
}

/// Updates with a key that overlap without a gap, of several receivers: whoever revokes the key waits for those that have begun and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_revoked_under_constant_load() {
    let (cluster, database) = (Cluster::shared(), Cluster::shared().database());
    let stores = [database.open().await, database.open().await, database.open().await, database.open().await];
    stores[0].put_key(&KeyRecord { expires_at: None, ..key("orgs_1", 1) }).await.unwrap();
    // Each update takes a while, and none as long as another.
    let slow = "CREATE FUNCTION nightmark.slow() RETURNS trigger LANGUAGE plpgsql AS \
                $$ BEGIN PERFORM pg_sleep(0.05 + random() * 0.1); RETURN NULL; END $$; \
                CREATE TRIGGER slow AFTER INSERT ON nightmark.orgs FOR EACH STATEMENT EXECUTE FUNCTION nightmark.slow()";
    cluster.sql(&database.name, slow);
    let written = AtomicUsize::new(0);
    let write = async |who: usize| {
        for number in 0.. {
            let sent = [upsert(&format!("{who}_{number}"), 1, |_| {})];
            if stores[who % stores.len()].upsert_orgs(&sent).await.unwrap() == [UpsertOutcome::KeyChanged] {
                return;
            }
            written.fetch_add(1, Ordering::Relaxed);
        }
    };
    let revoke = async {
        while written.load(Ordering::Relaxed) < 20 {
            tokio::task::yield_now().await;
        }
        let begun = Instant::now();
        let revoked = stores[3].revoke_key("orgs_1", at(5)).await.unwrap().unwrap();
        assert!(revoked.revoked_at.is_some());
        // Some 0.15 s; without its turn, the 10 s after which a lock is given up.
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    };
    let writes = futures_util::future::join_all((0..8).map(write));
    tokio::join!(writes, revoke);
}

/// Connections of a store at most.
const CONNECTIONS: usize = 8;

/// A backend that is killed takes all others down with it; what was answered stays, and the store goes on by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_backends_lose_nothing_that_was_answered() {
    let cluster = Arc::new(Cluster::start());
    let database = cluster.database();
    let store = database.open().await;
    store.put_key(&KeyRecord { expires_at: None, ..key("orgs_1", 1) }).await.unwrap();
    let (mut answered, mut failed) = (Vec::new(), 0);
    for kill in 0..5 {
        // Writes until one is answered and the kill that follows it is felt, and after that until the store is back. One that comes between two writes
        // may be felt by none: the pool finds out by itself that its connections are gone. Then it is done again.
        let (first, mut before, mut killer) = (answered.len(), usize::MAX, None::<(JoinHandle<()>, usize)>);
        loop {
            let is_due = match &killer {
                None => answered.len() > first,
                Some((killing, since)) => killing.is_finished() && failed == before && answered.len() > since + 500,
            };
            if is_due {
                let (on, of) = (Arc::clone(&cluster), database.name.clone());
                before = failed;
                killer = Some((tokio::task::spawn_blocking(move || on.kill_backend(&of)), answered.len()));
            }
            let id = format!("org_{kill}_{}", answered.len() + failed);
            match store.upsert_orgs(&[upsert(&id, 1, |_| {})]).await {
                Ok(_) => answered.push(id),
                Err(StoreError::Database(_) | StoreError::Busy(_)) => failed += 1,
                Err(other) => panic!("{other}"),
            }
            if failed > before && store.orgs(None, 1).await.is_ok() {
                break;
            }
            assert!(failed < 25_000 && answered.len() < 100_000, "no kill was felt, or the store does not come back");
        }
        killer.unwrap().0.await.unwrap();
    }
    cluster.wait();
    let orgs = database.open().await.orgs(None, 1_000_000).await.unwrap();
    let there: BTreeSet<_> = orgs.into_iter().map(|org| org.product_org_id).collect();
    let lost: Vec<_> = answered.iter().filter(|id| !there.contains(*id)).collect();
    assert!(lost.is_empty() && answered.len() >= 5, "answered, and not there: {lost:?}");
    // It goes on by itself: each connection that was cut and has not been used since is found out by the one call that it fails.
    let afterwards = [upsert("afterwards", 1, |_| {})];
    let mut left = CONNECTIONS;
    while let Err(error) = store.upsert_orgs(&afterwards).await {
        assert!(left > 0, "{error}");
        left -= 1;
    }
    done(&store, &[upsert("afterwards", 2, |_| {})]).await;
}
