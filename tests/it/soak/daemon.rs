//! The daemon: what `nightmark serve` is made of, with the test's clock.

use super::talk::{Answer, How, Said, Talk};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use nightmark::alerts::channel::Channel;
use nightmark::alerts::message::Message;
use nightmark::alerts::watch::{Jobs, Watch};
use nightmark::clock::Clock;
use nightmark::config::{Home, Settings};
use nightmark::daemon::scheduler::{Ended, Extract, Scheduler, Seat, Work};
use nightmark::daemon::work::Runs;
use nightmark::daemon::{fires, retention};
use nightmark::deliver::Http;
use nightmark::job::load::load_all;
use nightmark::job::spec::Job;
use nightmark::pipeline::{Resources, Runner};
use nightmark::store::sqlite::SqliteStore;
use nightmark::store::{RunState, StateStore};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// The address of the test, in the environment of the process.
pub const TEST: &str = "NIGHTMARK_SOAK_TEST";
/// This process' test, by its name.
pub const NAME: &str = "soak::daemon::the_process_of_a_soak";

#[test]
#[ignore = "the process that years_of_nights_end_with_source_and_destination_equal starts and ends"]
fn the_process_of_a_soak() {
    let address = std::env::var(TEST).expect("it is started by years_of_nights_end_with_source_and_destination_equal");
    let talk = Arc::new(Talk::over(TcpStream::connect(address).unwrap()));
    // Runs talk, too, and whoever talks holds a thread up.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(6).enable_all().build().unwrap();
    runtime.block_on(serve(talk));
}

/// It stands until the test says how late it is.
#[derive(Debug)]
struct Told(Mutex<DateTime<Utc>>);

impl Clock for Told {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }

    fn random(&self) -> u128 {
        rand::random()
    }
}

/// Runs that the test is told of.
struct Heard {
    runs: Runs,
    talk: Arc<Talk>,
    stop: watch::Sender<bool>,
}

#[async_trait]
impl Work for Heard {
    async fn run(&self, job: Arc<Job>) -> Ended {
        let name = job.name.clone();
        if let Answer::Go(Some(millis)) = self.talk.ask(&Said::Begins { job: name.clone() }) {
            let stop = self.stop.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                stop.send_replace(true);
            });
        }
        let ended = self.runs.run(job).await;
        let how = match &ended {
            Ended::Done(_) => How::Done,
            Ended::Held(_) => How::Held,
            Ended::Failed(reason) => How::Failed(reason.clone()),
            Ended::Busy(_) => How::Busy,
            Ended::Stopped => How::Stopped,
        };
        self.talk.ask(&Said::Ended { job: name, how });
        ended
    }

    async fn look(&self, _: Arc<Job>) -> Result<Extract, String> {
        Err("no job of a soak waits for files".to_owned())
    }
}

/// Somebody who is told.
struct People(Arc<Talk>);

#[async_trait]
impl Channel for People {
    fn name(&self) -> &'static str {
        "people"
    }

    async fn send(&self, message: &Message) -> Result<(), String> {
        self.0.ask(&Said::Told { subject: message.subject.clone() });
        Ok(())
    }
}

async fn serve(talk: Arc<Talk>) {
    let Answer::Now(now) = talk.ask(&Said::Here) else { panic!("nobody has said how late it is") };
    let clock = Arc::new(Told(Mutex::new(now)));
    let home = Home::new(Path::new(&std::env::var("NIGHTMARK_HOME").unwrap())).unwrap();
    let settings = Settings::load(&home).unwrap();
    let store = Arc::new(SqliteStore::open(&home.database()).await.unwrap());
    let (jobs, problems) = load_all(&home);
    assert!(problems.is_empty(), "{problems:?}");
    let (stop, stopping) = watch::channel(false);
    let runner = Runner {
        home: home.clone(),
        settings,
        store: Arc::clone(&store) as _,
        clock: Arc::clone(&clock) as _,
        connect: Arc::new(Http),
        progress: Arc::new(()),
        metrics: Arc::new(()),
        resources: Resources { memory: 1 << 30, threads: 2 },
        stop: stopping.clone(),
        leases: None,
        tenures: Vec::new(),
        fences: Vec::new(),
        lock: std::sync::Weak::new(),
    };
    let jobs: Vec<Arc<Job>> = jobs.into_iter().map(Arc::new).collect();
    let watched = jobs.clone();
    let people = Watch::new(
        Arc::clone(&store) as Arc<dyn StateStore>,
        Arc::clone(&clock) as _,
        vec![Box::new(People(Arc::clone(&talk)))],
        Arc::new(move || Jobs { sound: watched.clone(), faulty: Vec::new() }),
    )
    .at("the soak".to_owned())
    .with_limit(Some(Duration::from_hours(26)), Arc::new(|job, after| fires::next(job.schedule.as_ref()?, after)));
    let work = Arc::new(Heard { runs: Runs::new(runner.clone(), 2), talk: Arc::clone(&talk), stop: stop.clone() });
    let seat = Seat { holder: "the soak".to_owned(), is_shared: false };
    let mut scheduler =
        Scheduler::new(jobs.clone(), Arc::clone(&store) as _, Arc::clone(&clock) as _, work, seat).await.unwrap();
    // As each day: it starts often enough.
    retention::fires(&*store, clock.now()).await.unwrap();
    retention::audit(&*store, clock.now()).await.unwrap();
    while !*stopping.borrow() {
        let next = scheduler.tick().await.unwrap();
        let mut ended = false;
        while scheduler.wait().await {
            ended = true;
        }
        for job in &jobs {
            runner.expire_held(job).await.unwrap();
        }
        people.look(&stopping).await.unwrap();
        if ended {
            // There may be more to do, and how the runs have ended is to be written.
            continue;
        }
        let decided = match talk.ask(&Said::Next(next)) {
            Answer::Now(now) => {
                *clock.0.lock().unwrap() = now;
                continue;
            }
            Answer::Approve(name) => {
                let job = jobs.iter().find(|job| job.name == name).unwrap();
                let report = runner.approve(Arc::clone(job), None, "the soak").await.unwrap();
                assert_ne!(report.state, RunState::Held);
                name
            }
            Answer::Discard(name) => {
                runner.discard(&name, None, "the soak").await.unwrap();
                name
            }
            Answer::Stop => break,
            Answer::Go(_) => panic!("nothing was about to begin"),
        };
        talk.ask(&Said::Decided { job: decided });
    }
    stop.send_replace(true);
    // It waits for what is on, and writes how that has ended.
    scheduler.run(stopping, &mut mpsc::channel(1).1).await;
    store.close().await;
}
