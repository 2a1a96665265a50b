use super::*;
use crate::config::{Home, Settings};
use crate::deliver::Http;
use crate::job;
use crate::pipeline::Resources;
use crate::store::sqlite::SqliteStore;
use crate::store::{AuditRecord, FireCause, FireRecord, FireState, RunRecord, RunState, RunStore};
use std::cell::Cell;
use std::path::Path;
use std::sync::Weak;

#[tokio::test(start_paused = true)]
async fn it_is_done_now_and_each_day_until_somebody_says_stop() {
    let (stop, stopping) = watch::channel(false);
    let passes = Cell::new(0);
    let days = each_day(stopping, async || passes.set(passes.get() + 1));
    let test = async {
        for day in 1..=400 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(passes.get(), day);
            tokio::time::sleep(DAY - Duration::from_secs(1)).await;
        }
        stop.send_replace(true);
    };
    tokio::join!(days, test);
    assert!((400..=401).contains(&passes.get()), "{}", passes.get());
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_takes_long_holds_no_end_up() {
    let (stop, stopping) = watch::channel(false);
    let days = each_day(stopping, async || std::future::pending().await);
    tokio::join!(days, async { stop.send_replace(true) });
}

#[derive(Debug)]
struct At(DateTime<Utc>);

impl Clock for At {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }

    fn random(&self) -> u128 {
        4
    }
}

fn known(name: &str, more: &str) -> Known {
    let text = format!(
        "version = 1\n{more}\n[source]\nkind = \"files\"\npath = \"orgs.csv\"\n[diff]\nkey = \"id\"\n[destination]\nkind = \"http\"\n\
         url = \"http://127.0.0.1:9/\"\n[payload]\npreset = \"flat\"\n"
    );
    let file = Path::new(name).with_extension("toml");
    let job = job::parse(&text, &file, Path::new("/home")).unwrap_or_else(|p| panic!("{p:?}"));
    Known { name: name.to_owned(), file, job: Some(Arc::new(job)), faulty: None }
}

fn fire(job: &str, due: DateTime<Utc>) -> FireRecord {
    FireRecord {
        job: job.to_owned(),
        due,
        state: FireState::Done,
        holder: "here".to_owned(),
        claimed_at: due,
        ended_at: Some(due),
        collapsed: 0,
        reason: None,
        cause: FireCause::Schedule,
        origin: None,
        seen: None,
    }
}

fn entry(id: &str, at: DateTime<Utc>) -> AuditRecord {
    AuditRecord {
        id: id.to_owned(),
        at,
        who: "Zoë".to_owned(),
        via: "admin API".to_owned(),
        action: "approve".to_owned(),
        subject: None,
        outcome: None,
        detail: None,
    }
}

/// A place with old fires, an old entry of the audit log, and old runs of two jobs.
async fn lived_in(dir: &Path, now: DateTime<Utc>) -> Arc<SqliteStore> {
    let store = Arc::new(SqliteStore::open(&dir.join("nightmark.db")).await.unwrap());
    for days in [500, 401, 399] {
        let at = now - TimeDelta::days(days);
        assert!(store.claim_fire(&fire("nightly", at)).await.unwrap());
        store.put_audit(&entry(&format!("{days:03}"), at)).await.unwrap();
    }
    for job in ["nightly", "by_hand"] {
        std::fs::create_dir_all(dir.join("snapshots").join(job)).unwrap();
        std::fs::write(dir.join("snapshots").join(job).join("lock"), "").unwrap();
        let at = now - TimeDelta::days(91);
        let run = RunRecord { state: RunState::Finished, ..RunRecord::new(job, job, at) };
        store.put_run(&run, at).await.unwrap();
    }
    store
}

#[tokio::test]
async fn a_pass_forgets_what_is_past_of_the_jobs_as_they_are_then() {
    let dir = tempfile::tempdir().unwrap();
    let now: DateTime<Utc> = "2030-06-15T00:00:00Z".parse().unwrap();
    let store = lived_in(dir.path(), now).await;
    let home = Home::new(dir.path()).unwrap();
    let (_stop, stop) = watch::channel(false);
    let (jobs, known_now) = watch::channel(vec![known("nightly", "schedule = \"30 2 * * *\""), known("by_hand", "")]);
    let runner = Runner {
        settings: Settings::load(&home).unwrap(),
        home,
        store: Arc::clone(&store) as _,
        clock: Arc::new(At(now)),
        connect: Arc::new(Http),
        progress: Arc::new(()),
        metrics: Arc::new(()),
        resources: Resources { memory: 1 << 20, threads: 1 },
        stop,
        leases: None,
        tenures: Vec::new(),
        fences: Vec::new(),
        lock: Weak::new(),
    };
    let (clock, known_now) = (Arc::clone(&runner.clock), known_now);
    let retention = Retention { runner, known: known_now, store: Arc::clone(&store) as _, clock, history_days: 0 };
    let runs = async || store.runs(None, 9).await.unwrap().into_iter().map(|run| run.id).collect::<Vec<_>>();
    retention.pass().await;
    let due: Vec<_> = store.fires(None, 9).await.unwrap().iter().map(|fire| (now - fire.due).num_days()).collect();
    assert_eq!(due, [399]);
    let left: Vec<_> = store.audit(None, 9).await.unwrap().into_iter().map(|entry| entry.id).collect();
    assert_eq!(left, ["399"]);
    assert_eq!(runs().await, ["nightly"], "its own runs do that");
    // It runs no more by itself.
    jobs.send_replace(vec![known("nightly", ""), known("by_hand", "")]);
    retention.pass().await;
    assert_eq!(runs().await, Vec::<String>::new());
}
