//! Leases: what a store that machines share must do with them.

use super::{at, receipt, run};
use crate::support::postgres::Cluster;
use nightmark::receipt::{Outcome, Progress};
use nightmark::store::{
    Asking, DestinationRecord, DestinationState, Fence, LeaseStore, Past, RefusalChange, RefusalStore, RunState,
    RunStore, StoreError,
};
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

/// Each write of a run that there is: one that is missing here could be made by a process that has lost its lease.
async fn writes(store: &dyn RunStore) -> Vec<Result<(), StoreError>> {
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
    vec![
        store.put_run(&ended, at(1)).await,
        store.end_delivery(&ended, at(1)).await,
        store.commit("r1", &[0..1], &[receipt(0, Outcome::Acknowledged)]).await,
        store.cut_off("r1").await,
        store.change_refusals("a", &["nm_1".to_owned()], RefusalChange::Forget).await.map(drop),
        store.put_destination(&destination).await,
        store.clear_destination("a").await.map(drop),
        store.forget_runs("a", &past).await,
    ]
}

#[tokio::test]
async fn nothing_is_written_under_a_lease_that_is_somebody_elses() {
    let store = Cluster::shared().database().open().await;
    let mine = store.take_lease(&asking("job/a", "x", Duration::ZERO)).await.unwrap().unwrap();
    let fenced = store.fenced(std::slice::from_ref(&mine));
    fenced.put_run(&run("r1", "a", RunState::Delivering, 0), at(0)).await.unwrap();
    fenced.commit("r1", &[0..3], &[receipt(1, Outcome::Refused)]).await.unwrap();
    let theirs = store.take_lease(&asking("job/a", "y", LONG)).await.unwrap().unwrap();
    let before =
        (store.run("r1").await.unwrap(), store.progress("r1").await.unwrap(), store.refusals(None).await.unwrap());
    assert_ne!(before.1, Progress::default());
    let words: Vec<String> = writes(&*fenced).await.into_iter().map(|done| done.unwrap_err().to_string()).collect();
    assert!(words.iter().all(|said| said.contains("no longer has the lease `job/a`")), "{words:?}");
    let after =
        (store.run("r1").await.unwrap(), store.progress("r1").await.unwrap(), store.refusals(None).await.unwrap());
    assert_eq!((after, store.destination("a").await.unwrap()), (before, None));
    // It still reads.
    assert!(fenced.run("r1").await.unwrap().is_some());
    for done in writes(&*store.fenced(std::slice::from_ref(&theirs))).await {
        done.unwrap();
    }
}
