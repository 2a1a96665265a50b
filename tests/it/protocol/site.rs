//! Where a history takes place: a folder, a clock, the destination; and one process after the other.

use super::history::{History, Weather};
use super::life::{self, Life, World};
use super::memory::Memory;
use super::ports::{Ticks, Watched, Way};
use crate::support::postgres::{Cluster, Database};
use crate::support::{folder_in_memory, job_file};
use nightmark::clock::Clock;
use nightmark::config::{Home, Settings};
use nightmark::job::spec::{Batch, Job, Retry};
use nightmark::pipeline::{How, PipelineError, Resources, RunReport, Runner};
use nightmark::store::postgres::{PostgresStore, Server};
use nightmark::store::sqlite::SqliteStore;
use nightmark::store::{RunStore, StateStore};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

const JOB: &str = "orgs";

/// What the histories of one thread share, because it takes long to make.
pub struct Ground {
    folder: tempfile::TempDir,
    /// With and without removals.
    jobs: [Job; 2],
    settings: Settings,
    made: u32,
    database: Option<Database>,
}

impl Ground {
    pub fn new() -> Self {
        let folder = folder_in_memory();
        let jobs = [true, false].map(|removals| job(folder.path(), removals));
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = SqliteStore::open(&folder.path().join("empty.db")).await.unwrap();
            store.close().await;
        });
        // As little as can be is remembered of earlier runs.
        let text = "[runs]\nkeep_days = 1\nkeep_rows_of = 1\n";
        let settings = Settings::parse(text, Path::new("nightmark.toml")).unwrap_or_else(|p| panic!("{p:?}"));
        Ground { folder, jobs, settings, made: 0, database: None }
    }

    pub fn extract(&self) -> PathBuf {
        self.folder.path().join("orgs.csv")
    }
}

fn job(folder: &Path, removals: bool) -> Job {
    let on = if removals { r#"["added", "changed", "removed"]"# } else { r#"["added", "changed"]"# };
    // The preset's body cannot say that an org is gone; a template takes longer to compile.
    let payload = match removals {
        true => r#"template = '{"workspace_id": {{row.workspace_id}}, "plan_id": {{row.plan_id}}, "op": "{{op}}"}'"#,
        false => r#"preset = "flat""#,
    };
    let text = job_file(&format!("on = {on}"), "url = \"http://127.0.0.1:9/\"", payload);
    let job = nightmark::job::parse(&text, Path::new("orgs.toml"), folder);
    let mut job = job.unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
    job.name = JOB.to_owned();
    job
}

/// What is asked of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Run,
    Publish,
    Retry,
}

/// Where a history keeps its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// In SQLite's file.
    Sqlite,
    /// In a schema of a Postgres database.
    Postgres,
    /// In maps.
    Memory,
}

struct Process {
    life: Arc<Life>,
    store: Arc<Watched>,
    /// What is to be closed at its end.
    kept: Option<Arc<dyn StateStore>>,
    runtime: Runtime,
}

/// See the module.
pub struct Site<'a> {
    ground: &'a mut Ground,
    job: Arc<Job>,
    home: Home,
    clock: Arc<Ticks>,
    pub world: Arc<Mutex<World>>,
    /// Outlives every process.
    memory: Option<Arc<Memory>>,
    server: Option<Server>,
    process: Option<Process>,
}

impl<'a> Site<'a> {
    pub fn new(ground: &'a mut Ground, history: &History, keeps: Keeps) -> Self {
        let mut job = ground.jobs[usize::from(!history.removals)].clone();
        job.destination.concurrency = usize::from(history.concurrency);
        job.destination.dead_letter_after = u32::from(history.dead_letter_after);
        let (attempts, max) = (u32::from(history.attempts), Duration::from_millis(1));
        // No waits: they only cost time, and order is the ports' to vary.
        job.destination.retry = Retry { attempts, base: Duration::ZERO, max };
        let rows = usize::from(history.batch);
        job.destination.batch = (rows > 0).then_some(Batch { rows, bytes: 1 << 20 });
        ground.settings.delivery.receipt_rows = usize::from(history.receipt_rows);
        ground.settings.delivery.receipt_interval = Duration::ZERO;
        let home = Self::fresh_home(ground);
        std::fs::create_dir(home.dir()).unwrap();
        let (mut memory, mut server) = (None, None);
        match keeps {
            Keeps::Memory => memory = Some(Arc::default()),
            Keeps::Sqlite => drop(std::fs::copy(ground.folder.path().join("empty.db"), home.database()).unwrap()),
            Keeps::Postgres => {
                let database = ground.database.get_or_insert_with(|| Cluster::shared().database());
                server = Some(database.schema(&format!("history_{}", ground.made)));
            }
        }
        let (clock, world) = (Arc::default(), World::that_dislikes(&history.disliked));
        Site { ground, job: Arc::new(job), home, clock, world, memory, server, process: None }
    }

    fn fresh_home(ground: &mut Ground) -> Home {
        ground.made += 1;
        Home::new(&ground.folder.path().join(ground.made.to_string())).unwrap()
    }

    pub fn extract(&self) -> PathBuf {
        self.ground.extract()
    }

    /// The job's snapshot folder.
    pub fn snapshots(&self) -> PathBuf {
        self.home.snapshots(JOB)
    }

    fn process(&mut self) -> &Process {
        if self.process.is_none() {
            let image = Self::fresh_home(self.ground).dir().to_owned();
            let life = Life::new(self.home.dir().to_owned(), image, Arc::clone(&self.world));
            let of = Arc::clone(&life);
            let runtime = Builder::new_current_thread()
                .enable_all()
                .on_thread_start(move || life::enter(Some(Arc::clone(&of))))
                .build()
                .unwrap();
            let kept: Option<Arc<dyn StateStore>> = match (&self.memory, &self.server) {
                (Some(_), _) => None,
                (None, Some(server)) => Some(Arc::new(runtime.block_on(PostgresStore::open(server)).unwrap())),
                (None, None) => Some(Arc::new(runtime.block_on(SqliteStore::open(&self.home.database())).unwrap())),
            };
            let inner: Arc<dyn RunStore> = match (&self.memory, &kept) {
                (_, Some(kept)) => Arc::clone(kept) as _,
                (memory, None) => Arc::clone(memory.as_ref().unwrap()) as _,
            };
            let store = Arc::new(Watched { inner, life: Arc::clone(&life) });
            self.process = Some(Process { life, store, kept, runtime });
        }
        self.process.as_ref().unwrap()
    }

    /// Does something with the store alone.
    pub fn with_store<T>(&mut self, does: impl AsyncFnOnce(&dyn RunStore, &str) -> T) -> T {
        let process = self.process();
        process.runtime.block_on(does(&*process.store.inner, JOB))
    }

    /// Does what is asked; `None`: the process ended on the way, at the place named.
    pub fn act(&mut self, asked: Asked, weather: &Weather) -> Result<Result<RunReport, PipelineError>, &'static str> {
        let (home, clock, job) = (self.home.clone(), Arc::clone(&self.clock), Arc::clone(&self.job));
        let settings = self.ground.settings.clone();
        let process = self.process();
        let stop = process.life.step(weather.answers.clone(), weather.crash, weather.stop);
        let runner = Runner {
            home,
            settings,
            store: Arc::clone(&process.store) as _,
            clock: clock as Arc<dyn Clock>,
            connect: Arc::new(Way(Arc::clone(&process.life))),
            progress: Arc::new(()),
            metrics: Arc::new(()),
            resources: Resources { memory: 1 << 30, threads: 1 },
            stop,
            leases: None,
            tenures: Vec::new(),
            fences: Vec::new(),
            lock: std::sync::Weak::new(),
        };
        life::enter(Some(Arc::clone(&process.life)));
        let doing = async {
            match asked {
                Asked::Run => runner.run(job, How::default()).await,
                Asked::Publish => runner.run(job, How { sends: false, ..How::default() }).await,
                Asked::Retry => runner.retry(job).await,
            }
        };
        let ended = process.runtime.block_on(async {
            tokio::select! {
                biased;
                ended = doing => Some(ended),
                () = process.life.over() => None,
            }
        });
        life::enter(None);
        let place = *process.life.ended_at.lock().unwrap();
        drop(runner);
        match (place, ended) {
            (None, Some(ended)) => Ok(ended),
            (place, _) => {
                self.end();
                Err(place.unwrap_or_default())
            }
        }
    }

    /// The process ends; what comes next starts from the disk.
    fn end(&mut self) {
        let Some(Process { life, store, kept, runtime }) = self.process.take() else { return };
        // What the database has begun is seen through. The image of SQLite's file was made when the process was killed; a server
        // goes on, and must not do so while the next process looks.
        if let Some(kept) = kept.filter(|_| !life.was_killed() || self.server.is_some()) {
            runtime.block_on(kept.close());
        }
        drop(store);
        // Waits for what other threads have begun.
        drop(runtime);
        life.bury();
        if life.was_killed() {
            let _ = std::fs::remove_dir_all(self.home.dir());
            self.home = Home::new(life.image()).unwrap();
        }
    }
}

impl Drop for Site<'_> {
    fn drop(&mut self) {
        drop(self.process.take());
        let _ = std::fs::remove_dir_all(self.home.dir());
    }
}
