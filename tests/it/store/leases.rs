//! Leases: what a store that machines share must do with them.

use super::{at, receipt, run};
use crate::support::postgres::Cluster;
use nightmark::clock::SystemClock;
use nightmark::lease::Leases;
use nightmark::receipt::{Outcome, Progress};
use nightmark::store::{
    AlertRecord, AlertStore, Asking, DestinationRecord, DestinationState, Fence, FireCause, FireRecord, FireState,
    FireStore, LeaseStore, Offer, Past, RefusalChange, RefusalStore, RunState, RunStore, ShareState, ShareStore,
    StoreError,
};
use sqlx::Connection as _;
use std::sync::Arc;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(3600);

fn asking<'a>(name: &'a str, holder: &'a str, length: Duration) -> Asking<'a> {
    Asking { name, holder, what: "run r1", length, own: None, parent: None }
}

#[tokio::test]
async fn a_lease_is_one_holders_at_a_time() {
    let store = Cluster::shared().database().open().await;
    let first = store.take_lease(&asking("job/a", "x", LONG)).await.unwrap().unwrap();
    assert_eq!(first, Fence { name: "job/a".into(), epoch: 1 });
    let held = store.take_lease(&asking("job/a", "y", LONG)).await.unwrap().unwrap_err();
    assert_eq!((held.holder.as_str(), held.what.as_str(), held.epoch), ("x", "run r1", 1));
    assert!(held.until - held.taken_at > chrono::TimeDelta::seconds(3590));
    // Another name is another lease.
    assert_eq!(store.take_lease(&asking("job/b", "y", LONG)).await.unwrap().unwrap().epoch, 1);
    assert_eq!(store.leases().await.unwrap().len(), 2);

    // Given back, it is anybody's, with another epoch.
    store.end_lease(&first).await.unwrap();
    assert!(!store.keep_lease(&first, LONG).await.unwrap(), "it has ended");
    let second = store.take_lease(&asking("job/a", "y", Duration::ZERO)).await.unwrap().unwrap();
    assert_eq!(second.epoch, 2);
    // So it is when it has run out, and then it cannot be kept any more.
    assert!(!store.keep_lease(&second, LONG).await.unwrap());
    let third = store.take_lease(&asking("job/a", "x", LONG)).await.unwrap().unwrap();
    assert_eq!(third.epoch, 3);
    assert!(store.keep_lease(&third, LONG).await.unwrap());
    // Who lost it can neither keep nor end it.
    assert!(!store.keep_lease(&second, LONG).await.unwrap());
    store.end_lease(&second).await.unwrap();
    assert!(store.take_lease(&asking("job/a", "y", LONG)).await.unwrap().is_err());
    // Whose own it is does not wait; an earlier epoch is no proof.
    let own = |epoch| Asking { own: Some(epoch), ..asking("job/a", "x", LONG) };
    assert!(store.take_lease(&own(2)).await.unwrap().is_err());
    assert_eq!(store.take_lease(&own(3)).await.unwrap().unwrap().epoch, 4);
}

/// Whoever had it stands still in a write, for longer than the next one's lease is good for.
#[tokio::test]
async fn a_lease_that_was_waited_for_is_good() {
    let database = Cluster::shared().database();
    let store = database.open().await;
    store.take_lease(&asking("job/a", "x", Duration::ZERO)).await.unwrap().unwrap();
    let mut writer = sqlx::PgConnection::connect(&database.url()).await.unwrap();
    let write = "BEGIN; SELECT epoch FROM nightmark.leases WHERE name = 'job/a' FOR KEY SHARE";
    sqlx::raw_sql(write).execute(&mut writer).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let note = folder.path().join("note");
    let leases = Leases::new(Arc::new(store), Arc::new(SystemClock), "y", Duration::from_secs(2));
    let ended = async {
        tokio::time::sleep(Duration::from_millis(2500)).await;
        sqlx::raw_sql("COMMIT").execute(&mut writer).await.unwrap();
    };
    let (taken, ()) = tokio::join!(leases.take_from(&note, "job/a", "run r2"), ended);
    let kept = taken.unwrap().unwrap();
    assert!(kept.tenure().is_good());
    assert_eq!(kept.fence().epoch, 2);
}

#[tokio::test]
async fn a_lease_counts_as_long_as_its_parent() {
    let store = Cluster::shared().database().open().await;
    let parent = store.take_lease(&asking("job/a", "x", Duration::ZERO)).await.unwrap().unwrap();
    let under = |name, length| Asking { parent: Some(&parent), ..asking(name, "y", length) };
    let child = store.take_lease(&under("share/r/1", LONG)).await.unwrap().unwrap();
    assert!(store.keep_lease(&child, LONG).await.unwrap());
    assert_eq!(store.children(&parent).await.unwrap(), 1);
    store.put_run(&run("r1", "a", RunState::Delivering, 0), at(0)).await.unwrap();
    let fences = [parent.clone(), child.clone()];
    store.fenced(&fences).commit("r1", std::slice::from_ref(&(0..1)), &[]).await.unwrap();
    // Somebody else has the job: the child is not kept up any more, no other comes, and nothing is written under it.
    let later = store.take_lease(&asking("job/a", "z", LONG)).await.unwrap().unwrap();
    assert!(!store.keep_lease(&child, LONG).await.unwrap());
    let refused = store.take_lease(&under("share/r/2", LONG)).await;
    assert!(matches!(refused, Err(StoreError::LeaseLost(_))), "{refused:?}");
    let refused = store.fenced(&fences).commit("r1", std::slice::from_ref(&(1..2)), &[]).await;
    assert!(matches!(refused, Err(StoreError::LeaseLost(_))), "{refused:?}");
    // Until it has run out, whoever has the job by now waits for it.
    assert_eq!(store.children(&later).await.unwrap(), 1);
    store.end_lease(&child).await.unwrap();
    assert_eq!(store.children(&later).await.unwrap(), 0);
    store.forget_children(&later).await.unwrap();
    let refused = store.fenced(&fences).commit("r1", std::slice::from_ref(&(1..2)), &[]).await;
    assert!(matches!(refused, Err(StoreError::LeaseLost(_))), "{refused:?}");
}

#[tokio::test]
async fn a_chunk_is_one_places_at_a_time() {
    let store = Cluster::shared().database().open().await;
    let job = store.take_lease(&asking("job/a", "x", LONG)).await.unwrap().unwrap();
    store.put_run(&run("r1", "a", RunState::Delivering, 0), at(0)).await.unwrap();
    let offer = Offer {
        run: "r1".into(),
        job: "a".into(),
        fleet: "f".into(),
        epoch: job.epoch,
        rows: 25,
        chunk_rows: 10,
        places: 2,
        plan: "p".into(),
        at: at(5),
    };
    assert_eq!((offer.chunks(), offer.rows_of(2)), (3, 20..25));
    store.put_offer(&offer).await.unwrap();
    assert_eq!(store.offers("f").await.unwrap(), std::slice::from_ref(&offer));
    assert!(store.offers("g").await.unwrap().is_empty());
    let place = async |number, length| {
        let name = offer.place(number);
        let asking = Asking { parent: Some(&job), ..asking(&name, "y", length) };
        store.take_lease(&asking).await.unwrap().unwrap()
    };
    let (gone, here) = (place(0, Duration::ZERO).await, place(1, LONG).await);
    assert_eq!(store.claim_chunk(&offer, &here).await.unwrap(), Some(0));
    store.finish_chunk(&offer, &here, 0).await.unwrap();
    // Whoever had this one has run out; what it may have had in flight is unknown, and it writes nothing more.
    assert_eq!(store.claim_chunk(&offer, &gone).await.unwrap(), Some(1));
    let late = store.fenced(&[job.clone(), gone.clone()]);
    late.commit("r1", std::slice::from_ref(&(10..13)), &[receipt(11, Outcome::Acknowledged)]).await.unwrap();
    assert_eq!(store.claim_chunk(&offer, &here).await.unwrap(), Some(1));
    let progress = store.progress("r1").await.unwrap();
    assert_eq!(progress.unknown.iter().collect::<Vec<_>>(), [10, 12]);
    assert_eq!((progress.acknowledged.len(), progress.attempting.len()), (1, 0));
    let refused = late.commit("r1", std::slice::from_ref(&(13..14)), &[]).await;
    assert!(matches!(refused, Err(StoreError::LeaseLost(_))), "{refused:?}");
    let refused = store.claim_chunk(&offer, &gone).await;
    assert!(matches!(refused, Err(StoreError::LeaseLost(_))), "{refused:?}");
    assert_eq!(store.claim_chunk(&offer, &here).await.unwrap(), Some(2));
    assert_eq!(store.claim_chunk(&offer, &here).await.unwrap(), None);
    let state = |is_open, done| Some(ShareState { is_open, chunks: 3, done });
    assert_eq!(store.share("r1").await.unwrap(), state(true, 1));
    // Offered anew, nothing of it is done; closed, nothing is given out.
    store.put_offer(&offer).await.unwrap();
    assert_eq!(store.share("r1").await.unwrap(), state(true, 0));
    store.close_offer("r1").await.unwrap();
    assert_eq!(store.claim_chunk(&offer, &here).await.unwrap(), None);
    assert!(store.offers("f").await.unwrap().is_empty());
    assert_eq!((store.share("r1").await.unwrap(), store.share("r2").await.unwrap()), (state(false, 0), None));
    // The job is somebody else's.
    store.end_lease(&job).await.unwrap();
    store.take_lease(&asking("job/a", "z", LONG)).await.unwrap().unwrap();
    for refused in [store.put_offer(&offer).await.map(|()| None), store.claim_chunk(&offer, &here).await] {
        assert!(matches!(refused, Err(StoreError::LeaseLost(_))), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_ask_at_once_one_gets_it() {
    let store = Cluster::shared().database().open().await;
    for round in 0..20 {
        let asked = (0..8).map(|_| async {
            let store = store.clone();
            tokio::spawn(async move { store.take_lease(&asking("job/a", "x", LONG)).await.unwrap().ok() })
                .await
                .unwrap()
        });
        let taken: Vec<Fence> = futures_util::future::join_all(asked).await.into_iter().flatten().collect();
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0].epoch, round + 1);
        store.end_lease(&taken[0]).await.unwrap();
    }
}

/// Each write that is made under a lease: one that is missing here could be made by a process that has lost it.
async fn writes(store: &dyn nightmark::store::StateStore) -> Vec<(&'static str, Result<(), StoreError>)> {
    let ended = run("r1", "a", RunState::Finished, 0);
    let destination = DestinationRecord {
        job: "a".into(),
        address: "http://x/".into(),
        state: DestinationState::Paused,
        reason: "it said so".into(),
        remedy: "wait".into(),
        since: at(0),
        run: "r1".into(),
        paused_until: None,
    };
    let past = Past { before: at(1000), rows_of: 0, except: &[] };
    let done = FireRecord { state: FireState::Done, ended_at: Some(at(40)), ..fire(30) };
    vec![
        ("put_run", store.put_run(&ended, at(1)).await),
        ("end_delivery", store.end_delivery(&ended, at(1)).await),
        ("commit", store.commit("r1", std::slice::from_ref(&(0..1)), &[receipt(0, Outcome::Acknowledged)]).await),
        ("cut_off", store.cut_off("r1").await),
        ("change_refusals", store.change_refusals("a", &["nm_1".to_owned()], RefusalChange::Forget).await.map(drop)),
        ("put_destination", store.put_destination(&destination).await),
        ("clear_destination", store.clear_destination("a").await.map(drop)),
        ("forget_runs", store.forget_runs("a", &past).await),
        ("scheduled_since", store.scheduled_since("a", "30 3 * * * UTC", at(50)).await.map(drop)),
        ("claim_fire", store.claim_fire(&fire(60)).await.map(drop)),
        ("end_fire", store.end_fire(&done).await.map(drop)),
        ("forget_fires", store.forget_fires(at(1000)).await),
        ("put_alert", store.put_alert(&alert("held")).await),
        ("forget_alert", store.forget_alert("a", "failed").await),
    ]
}

fn fire(due: i64) -> FireRecord {
    FireRecord {
        job: "a".into(),
        due: at(due),
        state: FireState::Running,
        holder: "x".into(),
        claimed_at: at(due),
        ended_at: None,
        collapsed: 0,
        reason: None,
        cause: FireCause::Schedule,
        origin: None,
        seen: None,
    }
}

fn alert(kind: &str) -> AlertRecord {
    AlertRecord {
        job: "a".into(),
        kind: kind.into(),
        about: "r1".into(),
        place: "fleet f".into(),
        since: at(10),
        ended_at: None,
        told: vec!["webhook".into()],
    }
}

#[tokio::test]
async fn nothing_is_written_under_a_lease_that_is_somebody_elses() {
    let store = Cluster::shared().database().open().await;
    let mine = store.take_lease(&asking("job/a", "x", Duration::ZERO)).await.unwrap().unwrap();
    let fenced = store.fenced(std::slice::from_ref(&mine));
    fenced.put_run(&run("r1", "a", RunState::Delivering, 0), at(0)).await.unwrap();
    fenced.commit("r1", std::slice::from_ref(&(0..3)), &[receipt(1, Outcome::Refused)]).await.unwrap();
    fenced.scheduled_since("a", "30 2 * * * UTC", at(5)).await.unwrap();
    for fire in [FireRecord { state: FireState::Missed, ..fire(20) }, fire(30)] {
        assert!(fenced.claim_fire(&fire).await.unwrap());
    }
    fenced.put_alert(&alert("failed")).await.unwrap();
    let theirs = store.take_lease(&asking("job/a", "y", LONG)).await.unwrap().unwrap();
    let of_runs = async || {
        let (run, refusals) = (store.run("r1").await.unwrap(), store.refusals(None).await.unwrap());
        (run, store.progress("r1").await.unwrap(), refusals, store.destination("a").await.unwrap())
    };
    let of_fires = async || (store.fires(None, 10).await.unwrap(), store.alerts().await.unwrap());
    let before = (of_runs().await, of_fires().await);
    assert_ne!(before.0.1, Progress::default());
    assert_eq!((before.1.0.len(), before.1.1.len()), (2, 1));
    for (write, done) in writes(&*fenced).await {
        let said = done.map_err(|error| error.to_string());
        assert!(said.as_ref().is_err_and(|said| said.contains("no longer has the lease `job/a`")), "{write}: {said:?}");
    }
    assert_eq!((of_runs().await, of_fires().await), before);
    // Since when it is scheduled so shows in no other way; and had the schedule become another, this were so late.
    assert_eq!(store.scheduled_since("a", "30 2 * * * UTC", at(70)).await.unwrap(), at(5));
    // It still reads.
    assert!(fenced.run("r1").await.unwrap().is_some());
    for (write, done) in writes(&*store.fenced(std::slice::from_ref(&theirs))).await {
        done.unwrap_or_else(|error| panic!("{write}: {error}"));
    }
    let (fires, alerts) = of_fires().await;
    assert_eq!(fires.iter().map(|fire| fire.due).collect::<Vec<_>>(), [at(60)]);
    assert_eq!(alerts, [alert("held")]);
}
