//! What every store must do with fires of jobs.

use super::at;
use nightmark::store::{FireCause, FireRecord, FireState, FireStore};

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
        cause: FireCause::Schedule,
        origin: None,
        seen: None,
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
    first.seen = Some("{\"files\":\"a\"}".to_owned());
    assert!(store.end_fire(&first).await.unwrap());
    let ended =
        FireRecord { state: FireState::Failed, ended_at: Some(at(1010)), reason: Some("no disk".into()), ..first };
    assert!(store.end_fire(&ended).await.unwrap());
    assert!(!store.end_fire(&FireRecord { state: FireState::Done, ..ended.clone() }).await.unwrap());
    assert!(!store.end_fire(&fire("fj3", 1000)).await.unwrap(), "it was never claimed");
    assert_eq!(store.fires(Some("fj1"), 10).await.unwrap(), [ended]);

    // What waits may begin. By what it was begun stands.
    let asked = FireRecord { state: FireState::Waiting, cause: FireCause::Request, ..fire("fj5", 10) };
    assert!(store.claim_fire(&asked).await.unwrap());
    let begun = FireRecord { state: FireState::Running, claimed_at: at(20), ..asked };
    assert!(
        store
            .end_fire(&FireRecord { cause: FireCause::File, origin: Some("x".into()), ..begun.clone() })
            .await
            .unwrap()
    );
    assert_eq!(store.fires(Some("fj5"), 10).await.unwrap(), [begun]);
    for (number, cause) in FireCause::ALL.into_iter().enumerate() {
        let origin = (number > 0).then(|| format!("file {number}"));
        let fire = FireRecord { cause, origin, seen: Some("{}".into()), ..fire("fj6", 20 + number as i64) };
        assert!(store.claim_fire(&fire).await.unwrap());
        assert_eq!(store.fires(Some("fj6"), 1).await.unwrap(), [fire]);
    }

    // Every state is read back.
    for (number, state) in FireState::ALL.into_iter().enumerate() {
        let fire = FireRecord { state, ..fire("fj4", 2000 + number as i64) };
        assert!(store.claim_fire(&fire).await.unwrap());
        assert_eq!(store.fires(Some("fj4"), 1).await.unwrap(), [fire]);
    }

    // What runs or waits is found at once.
    let open = store.open_fires().await.unwrap();
    assert!(open.iter().all(|fire| matches!(fire.state, FireState::Running | FireState::Waiting)));
    let open: Vec<&str> = open.iter().map(|fire| fire.job.as_str()).collect();
    assert_eq!(open, ["fj2", "fj4", "fj4", "fj5", "fj6", "fj6", "fj6", "fj6"]);

    // The newest of a kind, also where others came after it.
    for (due, state, cause) in [
        (50, FireState::Done, FireCause::Schedule),
        (100, FireState::Failed, FireCause::Schedule),
        (200, FireState::Failed, FireCause::Request),
        (3000, FireState::Held, FireCause::File),
    ] {
        assert!(store.claim_fire(&FireRecord { state, cause, ..fire("fj7", due) }).await.unwrap());
    }
    let schedule = Some(FireCause::Schedule);
    for (cause, state, newest) in [
        (None, None, Some(3000)),
        (schedule, None, Some(100)),
        (None, Some(FireState::Failed), Some(200)),
        (schedule, Some(FireState::Done), Some(50)),
        (Some(FireCause::Job), None, None),
    ] {
        let found = store.newest_fire("fj7", cause, state).await.unwrap();
        assert_eq!(found.map(|fire| fire.due), newest.map(at), "{cause:?} {state:?}");
    }
    assert_eq!(store.newest_fire("fj9", None, None).await.unwrap(), None);

    // The newest first; what runs or waits, and each job's newest, and that of its schedule, is never forgotten.
    let all = async || {
        let fires = store.fires(None, 100).await.unwrap();
        let fires = fires.into_iter().filter(|fire| !matches!(fire.job.as_str(), "fj5" | "fj6" | "fj7"));
        fires.map(|fire| (fire.job, (fire.due - at(0)).num_seconds())).collect::<Vec<_>>()
    };
    let job = |name: &str| name.to_owned();
    let fj4 = (2000..2007).rev().map(|due| (job("fj4"), due)).collect::<Vec<_>>();
    assert_eq!(all().await, [fj4, vec![(job("fj1"), 1000), (job("fj2"), 1000)]].concat());
    store.forget_fires(at(2005)).await.unwrap();
    let left = [("fj4", 2006), ("fj4", 2005), ("fj4", 2001), ("fj4", 2000), ("fj1", 1000), ("fj2", 1000)];
    assert_eq!(all().await, left.map(|(name, due)| (job(name), due)));
    let left = store.fires(Some("fj7"), 9).await.unwrap();
    assert_eq!(left.iter().map(|fire| fire.due).collect::<Vec<_>>(), [at(3000), at(100)]);
}
