//! Job files from disk: the documented example, every mistake at its place, finding jobs, the published schema.

use crate::support::{Home as RealHome, says};
use nightmark::config::Home;
use nightmark::job::spec::{Baseline, FileFormat, Part, Payload, Rate, Source};
use nightmark::job::{JobError, job_schema, load_all, load_job};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// The job file of the documentation, as it stands there.
const EXAMPLE: &str = r##"#:schema ../schemas/job.schema.json
version = 1
name = "workspaces"                        # default: the file's stem
schedule = "30 2 * * *"
timezone = "America/New_York"

[source]
kind = "files"
path = "data/orgs_*.parquet"               # .csv .csv.gz .parquet .ndjson by extension, or format = "…"
query = "SELECT * FROM extract WHERE deleted_at IS NULL"    # optional SQL model

[diff]
key = "workspace_id"                       # or ["region", "workspace_id"]
compare = ["plan_id", "user_count", "mrr"] # default: every column but the key and those in ignore
ignore = ["last_active_at", "updated_at"]
on = ["added", "changed"]
first_run = "send"                         # or "adopt"

[destination]
kind = "http"
url = "https://acme.trailspark.ai/api/product-orgs/webhook/${TRAILSPARK_API_KEY}"
secret = "${TRAILSPARK_API_SECRET}"        # sent as X-Api-Secret
rate = "50/s"
concurrency = 8
retry = { attempts = 5, base = "1s", max = "5m" }    # within a run; what is left is sent by the next run

[payload]
preset = "flat"                            # or "group", or template = '''{ … "{{row.workspace_id}}" … }'''
"##;

/// A home folder with these files in `jobs/`.
fn home(files: &[(&str, &str)]) -> (TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path()).unwrap();
    std::fs::create_dir(home.jobs()).unwrap();
    for (name, text) in files {
        std::fs::write(home.jobs().join(name), text).unwrap();
    }
    (dir, home)
}

fn named(name: &str) -> String {
    EXAMPLE.replace("\"workspaces\"", &format!("{name:?}"))
}

#[test]
fn the_documented_example_loads_with_every_value() {
    let (dir, home) = home(&[("example.toml", EXAMPLE)]);
    let job = load_job(&home, "workspaces").unwrap();
    assert_eq!((job.name.as_str(), job.file.as_path()), ("workspaces", Path::new("jobs/example.toml")));
    let schedule = job.schedule.unwrap();
    assert_eq!((schedule.expression.as_str(), schedule.timezone.name()), ("30 2 * * *", "America/New_York"));
    let Source::Files(files) = job.source else { panic!("not files") };
    assert_eq!((files.written.as_str(), files.path), ("data/orgs_*.parquet", dir.path().join("data/orgs_*.parquet")));
    assert_eq!(files.format, FileFormat::Parquet);
    assert_eq!(files.query.as_deref(), Some("SELECT * FROM extract WHERE deleted_at IS NULL"));
    assert_eq!(job.diff.key, ["workspace_id"]);
    assert_eq!(job.diff.compare.unwrap(), ["plan_id", "user_count", "mrr"]);
    assert_eq!(job.diff.ignore, ["last_active_at", "updated_at"]);
    assert!(job.diff.on.added && job.diff.on.changed && !job.diff.on.removed);
    assert_eq!((job.diff.first_run, job.diff.on_new_column), (Baseline::Send, Baseline::Send));
    let url = "https://acme.trailspark.ai/api/product-orgs/webhook/";
    let parts = [Part::Literal(url.to_owned()), Part::Env("TRAILSPARK_API_KEY".to_owned())];
    assert_eq!(job.destination.url.parts, parts);
    assert_eq!(job.destination.secret.unwrap().parts, [Part::Env("TRAILSPARK_API_SECRET".to_owned())]);
    assert_eq!(job.destination.rate, Some(Rate { quantity: 50, per: Duration::from_secs(1) }));
    assert_eq!((job.destination.concurrency, job.destination.timeout), (8, Duration::from_secs(30)));
    let retry = job.destination.retry;
    assert_eq!((retry.attempts, retry.base, retry.max), (5, Duration::from_secs(1), Duration::from_secs(300)));
    assert!(matches!(job.payload, Payload::Flat { fields } if fields.is_empty()));
}

#[test]
fn three_mistakes_are_three_problems() {
    let text = EXAMPLE
        .replace("compare =", "compre =")
        .replace("30 2 * * *", "30 2 * *")
        .replace("\"${TRAILSPARK_API_SECRET}\"", "\"not-a-real-secret\"");
    let (_dir, home) = home(&[("x.toml", &text)]);
    insta::assert_snapshot!(load_job(&home, "workspaces").unwrap_err().to_string(), @r#"
    jobs/x.toml:4:12: schedule: a schedule has 5 fields, this has 4
        hint: minute hour day-of-month month day-of-week, such as `30 2 * * *`, or `@daily`
    jobs/x.toml:14:1: diff.compre: unknown field (did you mean `compare`?)
    jobs/x.toml:22:10: destination.secret: a secret must not stand in a job file
        hint: put it into an environment variable and write ${NAME}, or into a file and write ${file:PATH}
    3 problems in jobs/x.toml
    "#);
}

#[test]
fn jobs_are_found_by_name_by_stem_and_by_path() {
    let (dir, home) = home(&[
        ("a.toml", &named("orgs")),
        ("b.toml", &named("a")),
        ("c.toml", "version = \"?"),
        (".a.toml", "left by an editor"),
        ("notes.md", "not a job"),
    ]);
    let name_of = |wanted: &str| load_job(&home, wanted).unwrap().file.to_string_lossy().into_owned();
    assert_eq!(name_of("orgs"), "jobs/a.toml");
    assert_eq!(name_of("a"), "jobs/b.toml", "a name wins over a file's stem");
    assert_eq!(name_of("b"), "jobs/b.toml");
    assert_eq!(name_of("jobs/a.toml"), "jobs/a.toml");
    assert_eq!(name_of(dir.path().join("jobs/a.toml").to_str().unwrap()), "jobs/a.toml");
    assert!(matches!(load_job(&home, "c"), Err(JobError::Invalid(_))));
    assert!(matches!(load_job(&home, "jobs/none.toml"), Err(JobError::Unreadable { .. })));
    let message = load_job(&home, "ogrs").unwrap_err().to_string();
    assert!(message.contains("no job `ogrs`") && message.contains("did you mean `orgs`?"), "{message}");
    assert!(message.contains("the jobs there: a, c, orgs"), "{message}");
    assert!(matches!(load_job(&home, "../a"), Err(JobError::Unknown { .. })));
}

#[test]
fn all_jobs_come_sorted_and_no_two_share_a_name() {
    let (_dir, home) = home(&[
        ("1.toml", &named("zeta")),
        ("2.toml", &named("alpha")),
        ("3.toml", &named("twin")),
        ("4.toml", &named("twin")),
        ("5.toml", "version = 1\nbogus = 1\n[source]\n"),
    ]);
    let (jobs, problems) = load_all(&home);
    assert_eq!(jobs.iter().map(|job| job.name.as_str()).collect::<Vec<_>>(), ["alpha", "zeta"]);
    let twins: Vec<String> = problems.iter().filter(|p| p.path == "name").map(ToString::to_string).collect();
    assert!(twins[0].starts_with("jobs/3.toml: name: the name `twin` is taken by jobs/4.toml"), "{twins:?}");
    assert_eq!(twins.len(), 2);
    assert!(problems.iter().any(|p| p.file == Path::new("jobs/5.toml") && p.path == "bogus"));
    assert!(matches!(load_job(&home, "twin"), Err(JobError::Ambiguous { .. })));

    let empty = tempfile::tempdir().unwrap();
    let (jobs, problems) = load_all(&Home::new(empty.path()).unwrap());
    assert!(jobs.is_empty() && problems.is_empty());
}

/// The example with other lines about when it runs.
fn due(name: &str, lines: &str) -> String {
    named(name).replace("schedule = \"30 2 * * *\"", lines)
}

#[test]
fn a_job_that_waits_for_one_that_is_not_there_or_for_itself_is_a_mistake() {
    let nightly = "schedule = \"30 2 * * *\"";
    let waits = |name: &str, whom: &str| due(name, &format!("{nightly}\ndepends_on = [{whom}]"));
    let home = RealHome::new();
    home.write("jobs/accounts.toml", &due("accounts", nightly));
    home.write("jobs/faulty.toml", "version = 1\nbogus = 1\n");
    home.write("jobs/by_hand.toml", &due("by_hand", ""));
    home.write("jobs/after.toml", &due("after", "run_after = [\"accounts\"]"));
    home.write(
        "jobs/orgs.toml",
        &waits("orgs", "\"accounts\", \"acounts\", \"by_hand\", \"after\", \"faulty\", \"elsewhere\""),
    );
    for args in [&["check", "orgs", "--syntax"][..], &["check", "--syntax"]] {
        let said = home.run(args).expect(2);
        says(
            &said,
            &[
                "jobs/orgs.toml: depends_on[1]: there is no job `acounts` (did you mean `accounts`?)",
                "depends_on[2]: the clock begins no run of job `by_hand`, so that there is nothing to wait for",
                "hint: give it a `schedule`, or name it in `run_after`",
                "depends_on[3]: the clock begins no run of job `after`",
                "depends_on[5]: there is no job `elsewhere`\n",
            ],
        );
        // That the file of one has mistakes is said of that file.
        assert!(!said.stdout.contains("depends_on[0]") && !said.stdout.contains("depends_on[4]"), "{}", said.stdout);
    }
    // Mended.
    home.write("jobs/orgs.toml", &waits("orgs", "\"accounts\""));
    home.run(&["check", "orgs", "--syntax"]).expect(0);
    // In a circle, none is taken; the one outside that leads to it is.
    home.write("jobs/accounts.toml", &waits("accounts", "\"teams\""));
    home.write("jobs/teams.toml", &waits("teams", "\"orgs\""));
    home.write("jobs/last.toml", &waits("last", "\"orgs\""));
    for args in [&["check", "orgs", "--syntax"][..], &["check", "--syntax"]] {
        let told = "jobs/orgs.toml: depends_on: the job would wait for itself: `orgs` depends on `accounts`, `accounts` depends on \
                    `teams`, `teams` depends on `orgs`\n    hint: take one of them out";
        let said = home.run(args).expect(2);
        assert!(said.stdout.replace("\n  ", "\n").contains(told), "{}", said.stdout);
    }
    let (jobs, problems) = load_all(&Home::new(&home.path("")).unwrap());
    assert_eq!(jobs.iter().map(|job| job.name.as_str()).collect::<Vec<_>>(), ["after", "by_hand", "last"]);
    assert_eq!(problems.iter().filter(|problem| problem.path == "depends_on").count(), 3, "{problems:?}");
    says(&home.run(&["schedule"]).expect(1), &["the job would wait for itself"]);
}

/// What is begun by another's success has its own schedule as well, and is held back by nothing.
#[test]
fn one_job_may_begin_another_that_waits_for_it() {
    let both = due("orgs", "schedule = \"30 2 * * *\"\ndepends_on = [\"teams\"]");
    let (_dir, home) = home(&[
        ("orgs.toml", &both),
        ("teams.toml", &due("teams", "schedule = \"0 1 * * *\"\nrun_after = [\"orgs\"]")),
    ]);
    let (jobs, problems) = load_all(&home);
    assert!(problems.is_empty() && jobs.len() == 2, "{problems:?}");
}

#[test]
fn the_example_jobs_are_valid() {
    let (jobs, problems) = load_all(&Home::new(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap());
    assert!(problems.is_empty(), "{problems:#?}");
    assert!(!jobs.is_empty());
}

#[test]
fn job_schema_file_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/job.schema.json");
    let schema = job_schema();
    assert!(schema["$schema"].is_string() && schema["title"].is_string());
    let generated = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    if std::env::var_os("NIGHTMARK_BLESS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == generated,
        "schemas/job.schema.json is not what the types say; run `NIGHTMARK_BLESS=1 cargo test --test it job_schema`"
    );
}
