//! A schema of an older version on a server.

use super::{SETTINGS, examined, finds, home, keyed};
use crate::support::postgres::{Cluster, PASSWORD, USER};
use crate::support::{Destination, ran, says};

/// The commands of docs/STORE.md, in the order in which they stand there.
fn typed(part: &str) -> Vec<Vec<String>> {
    let page = include_str!("../../../docs/STORE.md");
    let lines = page.lines().filter_map(|line| line.strip_prefix("      ")).filter(|line| line.starts_with(part));
    let words = |line: &str| line.replace('\'', "").split(' ').map(str::to_owned).collect::<Vec<_>>();
    lines.map(words).collect()
}

/// A schema of an older version on a server: it is told before anything is done, when it is about to be done, and the way back is one.
#[test]
fn a_schema_that_is_about_to_be_brought_up_to_date_is_told_and_a_dump_leads_back() {
    let destination = Destination::start();
    let home = home(&keyed(destination.address), "");
    let (cluster, database) = (Cluster::shared(), Cluster::shared().database());
    home.write("nightmark.toml", &format!("{SETTINGS}{}", database.setting()));
    let run = |args: &[&str]| ran(home.command(args).env("PG_PASSWORD", PASSWORD).output().unwrap());
    run(&["keys", "create", "--name", "first"]).expect(0);
    // As the version before this one has left it: its tables, made by its own steps, and what it knows of them.
    let sql = |sql: &str| cluster.sql(&database.name, sql);
    sql(
        "CREATE TABLE public.steps AS SELECT * FROM nightmark._sqlx_migrations WHERE version < (SELECT max(version) FROM nightmark._sqlx_migrations)",
    );
    let known: i64 = sql("SELECT max(version) FROM nightmark._sqlx_migrations").parse().unwrap();
    let mut files: Vec<_> =
        glob::glob(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/postgres/*.sql")).unwrap().flatten().collect();
    files.sort();
    assert_eq!(i64::try_from(files.len()).unwrap(), known);
    files.pop();
    let steps: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap() + ";\n").collect();
    sql(&format!(
        "CREATE TABLE public.template (LIKE nightmark._sqlx_migrations INCLUDING ALL); DROP SCHEMA nightmark CASCADE; \
         CREATE SCHEMA nightmark AUTHORIZATION {USER}; ALTER TABLE public.template OWNER TO {USER}; ALTER TABLE public.template SET SCHEMA nightmark; \
         ALTER TABLE nightmark.template RENAME TO _sqlx_migrations; INSERT INTO nightmark._sqlx_migrations SELECT * FROM public.steps; \
         DROP TABLE public.steps; SET ROLE {USER}; SET search_path TO nightmark; {steps}"
    ));
    sql(
        "INSERT INTO nightmark.alerts (job, kind, about, place, since, told) VALUES ('before', 'held', 'a', 'b', now(), '')",
    );
    let version = || sql("SELECT max(version) FROM nightmark._sqlx_migrations").parse::<i64>().unwrap();
    let doctor = || examined(run(&["doctor", "--json"]));
    finds(&doctor(), "database", "schema", "note", &["is brought to", "pg_dump -n nightmark", "docs/STORE.md"]);
    assert_eq!(version(), known - 1, "a look changes nothing");
    let dump = home.path("before.dump").display().to_string();
    let type_it = |words: &[String]| {
        let of_test = |word: &String| match word.as_str() {
            "nightmark" => database.name.clone(),
            word => {
                word.replace("--dbname=nightmark", &format!("--dbname={}", database.name)).replace("before.dump", &dump)
            }
        };
        let mut args: Vec<String> = words[1..].iter().map(of_test).collect();
        // The last argument of psql has spaces in it.
        if let Some(at) = args.iter().position(|word| word.starts_with("--command=")) {
            let command = words[at + 1..].join(" ");
            args.truncate(at);
            args.push(command);
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = cluster.program(&words[0], &args).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    type_it(&typed("pg_dump ")[0]);
    let ran = run(&["keys", "create", "--name", "second"]).expect(0);
    says(&ran, &["WARN", "brought up to date now", "pg_dump -n"]);
    assert_eq!(version(), known);
    type_it(&typed("psql ")[0]);
    type_it(&typed("pg_restore ")[0]);
    assert_eq!(version(), known - 1);
    assert_eq!(sql("SELECT job FROM nightmark.alerts"), "before");
    // It is a store as before: its owner, and what it goes by, are in it.
    run(&["keys", "create", "--name", "third"]).expect(0);
    assert_eq!(version(), known);
}
