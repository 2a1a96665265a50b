//! What every store must do with alerts.

use super::at;
use nightmark::store::{AlertRecord, AlertStore};

pub async fn conform(store: &impl AlertStore) {
    let alert = |job: &str, kind: &str| AlertRecord {
        job: job.to_owned(),
        kind: kind.to_owned(),
        about: "01A".to_owned(),
        place: "here:/home".to_owned(),
        since: at(100),
        ended_at: None,
        told: Vec::new(),
    };
    assert!(store.alerts().await.unwrap().is_empty());
    for (job, kind) in [("aj2", "held"), ("aj1", "stale"), ("aj1", "failed")] {
        store.put_alert(&alert(job, kind)).await.unwrap();
    }
    let told =
        AlertRecord { told: vec!["webhook".into(), "email".into()], ended_at: Some(at(200)), ..alert("aj1", "stale") };
    store.put_alert(&told).await.unwrap();
    assert_eq!(store.alerts().await.unwrap(), [alert("aj1", "failed"), told.clone(), alert("aj2", "held")]);
    store.forget_alert("aj1", "failed").await.unwrap();
    store.forget_alert("aj1", "failed").await.unwrap();
    store.forget_alert("aj2", "held").await.unwrap();
    assert_eq!(store.alerts().await.unwrap(), [told]);
    store.forget_alert("aj1", "stale").await.unwrap();
    assert!(store.alerts().await.unwrap().is_empty());
}
