//! A model of a real dbt project: what `dbt compile` makes of it is what is asked.

use crate::support::{Home, says};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;

/// dbt, which `./test.sh` installs in a place of its own.
fn dbt() -> Command {
    let fallback = || Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/dbt/bin/dbt");
    let dbt = std::env::var_os("NIGHTMARK_TEST_DBT").map_or_else(fallback, PathBuf::from);
    assert!(dbt.is_file(), "{} is missing; run ./test.sh, which installs it", dbt.display());
    Command::new(dbt)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

#[test]
fn what_dbt_has_compiled_is_asked() {
    let home = Home::new();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/dbt");
    copy(&fixture, &home.path("warehouse"));
    let sql = "CREATE TABLE accounts (account_id TEXT, plan TEXT, seats INTEGER, deleted_at TEXT);
               INSERT INTO accounts VALUES ('a', 'pro', 3, NULL), ('b', 'free', 1, '2026-01-01'), ('c', 'pro', 2, NULL);";
    let made = Command::new("sqlite3").arg(home.path("crm.db")).arg(sql).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    home.write(
        "jobs/orgs.toml",
        "version = 1\n[source]\nkind = \"sqlite\"\npath = \"crm.db\"\ndbt = { project = \"warehouse\", model = \"orgs\" }\n[diff]\nkey = \
         \"workspace_id\"\n[destination]\nkind = \"http\"\nurl = \"http://127.0.0.1:9/\"\n[payload]\npreset = \"flat\"\n",
    );
    says(&home.run(&["check", "orgs"]).expect(2), &["manifest.json cannot be read", "dbt compile --select orgs"]);

    let compile = |arguments: &[&str]| {
        let mut dbt = dbt();
        dbt.args(arguments).args(["--project-dir", "warehouse", "--profiles-dir", "warehouse"]);
        dbt.current_dir(home.path("")).env("CRM_FOLDER", home.path("")).env("DBT_SEND_ANONYMOUS_USAGE_STATS", "false");
        let output = dbt.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    };
    // A project that is parsed has models that are not compiled.
    compile(&["parse"]);
    says(&home.run(&["check", "orgs"]).expect(2), &["model crm.orgs is not compiled", "dbt compile --select orgs"]);
    compile(&["compile", "--select", "orgs"]);
    let preview = home.run(&["preview", "orgs", "--json"]).expect(0).json();
    let bodies: Vec<_> = preview["changes"].as_array().unwrap().iter().map(|change| change["body"].clone()).collect();
    let body = |id: &str, seats: i64| json!({ "workspace_id": id, "plan": "pro", "seats": seats });
    assert_eq!(bodies, [body("a", 3), body("c", 2)], "{preview}");
    let job = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    home.write("jobs/orgs.toml", &job.replace("model = \"orgs\"", "model = \"orgz\""));
    says(&home.run(&["check", "orgs"]).expect(2), &["no model `orgz`", "orgs"]);
}
