//! Whole runs of the program over a driver.

use super::engines;
use crate::support::{Destination, Home, says};

/// A home folder with a DuckDB file and a job over it.
fn home(destination: &Destination, query: &str) -> Home {
    let home = Home::new();
    let job = format!(
        "version = 1\n[source]\nkind = \"adbc\"\ndriver = {:?}\nquery = '''{query}'''\n[source.options]\npath = {:?}\naccess_mode = \"READ_ONLY\"\n\
         [diff]\nkey = \"workspace_id\"\n[destination]\nkind = \"http\"\nurl = \"http://{}/\"\nallow_plain = true\n[payload]\npreset = \"flat\"\n",
        engines::duckdb().display().to_string(),
        home.path("orgs.duckdb").display().to_string(),
        destination.address,
    );
    home.write("jobs/orgs.toml", &job.replace("allow_plain = true\n", ""));
    home
}

fn duckdb(home: &Home, sql: &str) {
    let script = "import sys, duckdb; duckdb.connect(sys.argv[1]).execute(sys.argv[2])";
    let made = crate::support::python().args(["-c", script]).arg(home.path("orgs.duckdb")).arg(sql).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[test]
fn only_what_changed_is_sent() {
    let destination = Destination::start();
    let home = home(&destination, "SELECT * FROM orgs ORDER BY workspace_id");
    duckdb(
        &home,
        "CREATE TABLE orgs AS SELECT 'ws_' || i AS workspace_id, i AS users, {'plan': 'pro', 'seats': i} AS traits FROM range(3) t(i)",
    );
    let checked = home.run(&["check", "orgs"]).expect(0);
    says(&checked, &["workspace_id", "json"]);
    home.run(&["run", "orgs"]).expect(0);
    assert_eq!(destination.take_orgs(), ["ws_0", "ws_1", "ws_2"]);
    home.run(&["run", "orgs"]).expect(0);
    assert!(destination.take().is_empty(), "nothing has changed");
    duckdb(&home, "UPDATE orgs SET traits = {'plan': 'team', 'seats': 1} WHERE workspace_id = 'ws_1'");
    home.run(&["run", "orgs"]).expect(0);
    assert_eq!(destination.take_orgs(), ["ws_1"]);
}

#[test]
fn an_extract_that_breaks_off_sends_nothing() {
    let destination = Destination::start();
    let query = "SELECT CASE WHEN i = 900000 THEN error('lost in the middle') ELSE 'ws_' || i END AS workspace_id, i FROM range(1000000) t(i)";
    let home = home(&destination, query);
    duckdb(&home, "SELECT 1");
    let ran = home.run(&["run", "orgs"]);
    assert_ne!(ran.code, 0);
    says(&ran, &["lost in the middle"]);
    assert!(destination.take().is_empty() && !home.path("snapshots/orgs/manifest.json").exists());
}

#[test]
fn what_is_wrong_with_the_source_is_told_by_check_at_once() {
    let home = Home::new();
    home.write(
        "jobs/orgs.toml",
        "version = 1\n[source]\nkind = \"adbc\"\ndriver = \"snowflake\"\nentrypoint = \"no such\"\ntimeout = \"soon\"\n\
         [source.options]\npassword = \"hunter2\"\n\"adbc.snowflake.sql.client_option.auth_token\" = \"hunter3\"\n\
         [diff]\nkey = \"id\"\n[destination]\nkind = \"http\"\nurl = \"http://127.0.0.1:1/\"\n[payload]\npreset = \"flat\"\n",
    );
    let ran = home.run(&["check", "orgs"]);
    assert_ne!(ran.code, 0);
    says(
        &ran,
        &[
            "source.options.password",
            "source.options.\"adbc.snowflake.sql.client_option.auth_token\"",
            "source.entrypoint",
            "source.timeout",
            "it is not said which rows to read",
            "must not stand in a job file",
        ],
    );
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("hunter"), "{}{}", ran.stdout, ran.stderr);
}
