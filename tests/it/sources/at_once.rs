//! `nightmark check` tells everything that is wrong with a source at once, on a real PostgreSQL.

use crate::support::postgres::{Cluster, Database, PASSWORD, USER};
use crate::support::{Home, says};
use serde_json::Value;

/// A job over a database, with the lines of `[source]` that say which rows, of `[diff]` and of `[payload]`.
fn home(database: &Database, rows: &str, diff: &str, payload: &str) -> Home {
    let home = Home::new();
    home.write("password", PASSWORD);
    let Database { name, port, .. } = database;
    home.write(
        "jobs/orgs.toml",
        &format!(
            "version = 1\n[source]\nkind = \"postgres\"\nurl = \"postgres://{USER}:${{file:password}}@127.0.0.1:{port}/{name}\"\n{rows}\n\
             [diff]\n{diff}\n[destination]\nkind = \"http\"\nurl = \"http://127.0.0.1:9/${{NOT_SET}}\"\n[payload]\n{payload}\n"
        ),
    );
    home
}

fn problems(home: &Home) -> Vec<String> {
    let told = home.run(&["check", "orgs", "--json"]).expect(2).json();
    let problems = told[0]["problems"].as_array().unwrap().iter();
    problems.map(|problem| problem.as_str().map(str::to_owned).unwrap_or_default()).collect()
}

#[track_caller]
fn one_has(problems: &[String], parts: &[&str]) {
    assert!(problems.iter().any(|problem| parts.iter().all(|part| problem.contains(part))), "{parts:?}: {problems:#?}");
}

#[test]
fn types_that_cannot_be_sent_hide_no_other_fault() {
    let database = Cluster::shared().database();
    let sql =
        format!("CREATE TABLE orgs (id text, logo bytea, age interval, plan text); GRANT SELECT ON orgs TO {USER}");
    Cluster::shared().sql(&database.name, &sql);
    let diff = "key = \"workspace_id\"\ncompare = [\"plan\", \"seats\"]";
    let home = home(&database, "table = \"orgs\"", diff, "template = '''{ \"id\": \"{{row.org}}\" }'''");
    let found = problems(&home);
    one_has(&found, &["`logo` is bytea, `age` is interval", "encode(\"logo\", 'hex')"]);
    one_has(&found, &["diff.key names `workspace_id`", "it has: id, logo, age, plan"]);
    one_has(&found, &["diff.compare names `seats`"]);
    one_has(&found, &["the payload of job `orgs`", "column `org` is not in the extract"]);
    one_has(&found, &["NOT_SET is not set"]);
}

#[test]
fn all_tables_that_may_not_be_read_are_named_with_what_to_grant() {
    let database = Cluster::shared().database();
    let sql = format!(
        "CREATE TABLE orgs (id text); CREATE TABLE plans (id text); CREATE SCHEMA crm; CREATE TABLE crm.\"Members\" (id text); \
         CREATE VIEW mine AS SELECT id FROM orgs; GRANT USAGE ON SCHEMA crm TO {USER}; GRANT SELECT ON orgs TO {USER}"
    );
    Cluster::shared().sql(&database.name, &sql);
    let query = "query = '''SELECT o.id FROM orgs o JOIN plans USING (id) JOIN crm.\"Members\" m USING (id), mine'''";
    let home = home(&database, query, "key = \"id\"", "preset = \"flat\"");
    let grant = format!("GRANT SELECT ON crm.\"Members\", mine, plans TO \"{USER}\";");
    one_has(&problems(&home), &["permission denied for tables crm.\"Members\", mine, plans", &grant]);
    // What it says is what helps.
    Cluster::shared().sql(&database.name, &grant);
    assert_eq!(problems(&home).len(), 1, "but for NOT_SET");
}

#[test]
fn all_references_that_lead_nowhere_are_named() {
    let home = Home::new();
    home.write(
        "jobs/orgs.toml",
        "version = 1\n[source]\nkind = \"adbc\"\ndriver = \"drivers/none.so\"\nquery = \"SELECT 1 AS id\"\n[source.options]\n\
         uri = \"x://${DB_USER}:${DB_PASS}@h/\"\ntoken = \"${file:none}\"\n[source.connection_options]\nrole = \"${DB_ROLE}\"\n[diff]\n\
         key = \"id\"\n[destination]\nkind = \"http\"\nurl = \"http://127.0.0.1:9/${NOT_SET}\"\n[payload]\npreset = \"flat\"\n",
    );
    let found = problems(&home);
    for parts in [
        ["source.options.uri", "DB_USER is not set"],
        ["source.options.uri", "DB_PASS is not set"],
        ["source.options.token", "none cannot be read"],
        ["source.connection_options.role", "DB_ROLE is not set"],
        ["destination.url", "NOT_SET is not set"],
    ] {
        one_has(&found, &parts);
    }
    assert_eq!(found.len(), 5, "{found:#?}");
}

/// An extract that is too old is no fault of the job, but a run would not send.
#[test]
fn a_run_that_would_be_held_is_told() {
    let home = Home::new();
    home.write("orgs.csv", "id,plan\na,pro\n");
    crate::remote::servers::age(&home.path("orgs.csv"), 72);
    home.write(
        "jobs/orgs.toml",
        "version = 1\n[source]\nkind = \"files\"\npath = \"orgs.csv\"\nmax_age = \"1d\"\n[diff]\nkey = \"id\"\n[destination]\nkind = \"http\"\n\
         url = \"http://127.0.0.1:9/\"\n[payload]\npreset = \"flat\"\n",
    );
    let ran = home.run(&["check", "orgs"]).expect(0);
    says(&ran, &["orgs: ok", "a run would be held: the extract is 3 days old", "source.max_age"]);
    let told: Value = home.run(&["check", "orgs", "--json"]).expect(0).json();
    assert!(told[0]["notes"].to_string().contains("would be held"), "{told}");
}

#[test]
fn rows_that_would_be_rejected_are_counted() {
    let database = Cluster::shared().database();
    let query = "query = \"SELECT n::text AS id, 'infinity'::date AS since FROM generate_series(1, 30) AS n\"";
    let home = home(&database, query, "key = \"id\"", "preset = \"flat\"");
    home.write(
        "jobs/orgs.toml",
        &std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap().replace("${NOT_SET}", ""),
    );
    let ran = home.run(&["check", "orgs"]).expect(0);
    says(&ran, &["row 20 is rejected", "… and more: 30 of 30 rows would be rejected"]);
    assert!(!ran.stdout.contains("row 21 "), "{}", ran.stdout);
}
