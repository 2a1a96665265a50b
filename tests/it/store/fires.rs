//! What every store must do with fires of schedules.

use super::at;
use nightmark::store::{FireRecord, FireState, FireStore};

fn fire(job: &str, due: i64) -> FireRecord {
    FireRecord {
        job: job.to_owned(),
        due: at(due),
        state: FireState::Running,
        holder: "process 7".to_owned(),
        claimed_at: at(due + 1),
        ended_at: None,
        collapsed: 0,
        reason: None,
    }
}

pub async fn conform(store: &impl FireStore) {
    // A schedule counts from when it was first seen, and anew once it has changed.
    for (job, schedule, seen, since) in [
        ("fj1", "30 2 * * * UTC", 100, 100),
        ("fj1", "30 2 * * * UTC", 200, 100),
        ("fj2", "30 2 * * * UTC", 300, 300),
        ("fj1", "30 3 * * * UTC", 400, 400),
        ("fj1", "30 2 * * * UTC", 500, 500),
    ] {
        assert_eq!(store.scheduled_since(job, schedule, at(seen)).await.unwrap(), at(since), "{job} at {seen}");
    }

    // Each fire is claimed once.
    let mut first = FireRecord { collapsed: 3, ..fire("fj1", 1000) };
    assert!(store.claim_fire(&first).await.unwrap());
    assert!(!store.claim_fire(&fire("fj1", 1000)).await.unwrap());
    assert!(store.claim_fire(&fire("fj2", 1000)).await.unwrap());
    assert_eq!(store.fires(Some("fj1"), 10).await.unwrap(), [first.clone()]);

    // What runs may be begun anew, and ends once.
    first.holder = "process 8".to_owned();
    assert!(store.end_fire(&first).await.unwrap());
    let ended =
        FireRecord { state: FireState::Failed, ended_at: Some(at(1010)), reason: Some("no disk".into()), ..first };
    assert!(store.end_fire(&ended).await.unwrap());
    assert!(!store.end_fire(&FireRecord { state: FireState::Done, ..ended.clone() }).await.unwrap());
    assert!(!store.end_fire(&fire("fj3", 1000)).await.unwrap(), "it was never claimed");
    assert_eq!(store.fires(Some("fj1"), 10).await.unwrap(), [ended]);

    // Every state is read back.
    for (number, state) in FireState::ALL.into_iter().enumerate() {
        let fire = FireRecord { state, ..fire("fj4", 2000 + number as i64) };
        assert!(store.claim_fire(&fire).await.unwrap());
        assert_eq!(store.fires(Some("fj4"), 1).await.unwrap(), [fire]);
    }

    // The newest first; what runs, and each job's newest, is never forgotten.
    let all = async || {
        let fires = store.fires(None, 100).await.unwrap();
        fires.into_iter().map(|fire| (fire.job, (fire.due - at(0)).num_seconds())).collect::<Vec<_>>()
    };
    let job = |name: &str| name.to_owned();
    let fj4 = (2000..2006).rev().map(|due| (job("fj4"), due)).collect::<Vec<_>>();
    assert_eq!(all().await, [fj4, vec![(job("fj1"), 1000), (job("fj2"), 1000)]].concat());
    store.forget_fires(at(2004)).await.unwrap();
    let left = [("fj4", 2005), ("fj4", 2004), ("fj4", 2000), ("fj1", 1000), ("fj2", 1000)];
    assert_eq!(all().await, left.map(|(name, due)| (job(name), due)));
}
