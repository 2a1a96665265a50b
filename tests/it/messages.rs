//! What the program says when something is wrong, as a person meets it.

use crate::support::{Destination, Home, Ran, ran, says};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

/// A home with one job over `orgs.csv`; `source` stands in `[source]`, `url` is the destination's.
fn home(csv: &str, source: &str, url: &str) -> Home {
    let home = Home::new();
    home.write("orgs.csv", csv);
    home.write(
        "jobs/orgs.toml",
        &format!(
            "version = 1\n[source]\nkind = \"files\"\npath = \"orgs.csv\"\n{source}\n[diff]\nkey = \"workspace_id\"\n\
             [destination]\nkind = \"http\"\nurl = \"{url}\"\nretry = {{ attempts = 2, base = \"1ms\" }}\n\
             [payload]\npreset = \"flat\"\n"
        ),
    );
    home
}

const CSV: &str = "workspace_id,plan\na,pro\nb,free\n";
const NOWHERE: &str = "http://127.0.0.1:1/hook/${TEST_KEY}";

#[test]
fn rows_that_reached_nobody_name_the_host_and_not_the_path() {
    let home = home(CSV, "", NOWHERE);
    let ran = home.run(&["run", "orgs"]).expect(1);
    says(&ran, &["no connection to 127.0.0.1:1 (connection refused) after 2 attempts; check"]);
    let whole = "${WHOLE}";
    let job = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    home.write("jobs/orgs.toml", &job.replace(NOWHERE, whole));
    let mut command = home.command(&["run", "orgs", "--log", "trace"]);
    let ran = crate::support::ran(command.env("WHOLE", "http://127.0.0.1:1/in/planted-hook").output().unwrap());
    says(&ran, &["no connection to 127.0.0.1:1 (connection refused)"]);
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("planted-hook"));
}

#[test]
fn an_unknown_host_is_named() {
    let home = home(CSV, "", "http://nobody.invalid/hook");
    says(&home.run(&["run", "orgs"]).expect(1), &["the host name nobody.invalid cannot be resolved after 2 attempts"]);
}

#[test]
fn a_config_fault_is_told_once() {
    let destination = Destination::start();
    destination.set("a", 403);
    let home = home(CSV, "", &format!("http://{}/", destination.address));
    let ran = home.run(&["run", "orgs"]).expect(1);
    says(&ran, &["Product Org Updates endpoint type"]);
    assert_eq!(ran.stderr, "");
}

#[test]
fn a_key_with_signs_that_mean_something_in_an_address_arrives_whole() {
    let destination = Destination::start();
    let home = home(CSV, "", &format!("http://{}/hook/${{ODD}}", destination.address));
    let mut command = home.command(&["run", "orgs"]);
    ran(command.env("ODD", "planted/a?b#c d%41").output().unwrap()).expect(0);
    assert_eq!(destination.take()[0].path, "/hook/planted%2Fa%3Fb%23c%20d%2541");
}

#[test]
fn an_address_that_is_none_is_known_before_anything_is_sent() {
    let check = |url: &str| {
        let home = home(CSV, "", "${WHOLE}");
        let mut command = home.command(&["check", "orgs"]);
        ran(command.env("WHOLE", url).output().unwrap())
    };
    check("https://h.example/x").expect(0);
    let none = check("planted").expect(2);
    says(&none, &["destination.url does not resolve to a web address"]);
    assert!(!none.stdout.contains("planted"), "{}", none.stdout);
    let metadata = check("http://169.254.169.254/planted").expect(2);
    says(&metadata, &["169.254.169.254, which is a cloud's metadata service", "destination.allow_addresses"]);
}

#[test]
fn check_judges_all_that_a_destination_is_set_up_with() {
    let home = home(CSV, "", "https://h.example/x");
    let job = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    let check = |extra: &str| {
        let header = "kind = \"http\"\n";
        assert!(job.contains(header));
        home.write("jobs/orgs.toml", &job.replace(header, &format!("{header}{extra}\n")));
        let mut command = home.command(&["check", "orgs"]);
        command.env("GOOD", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").env("BAD", "whsec_planted!");
        ran(command.output().unwrap())
    };
    check("signing = \"${GOOD}\"").expect(0);
    for (extra, parts) in [
        (
            "signing = [\"${GOOD}\", \"${GONE}\"]",
            vec!["destination.signing[1]: the environment variable GONE is not set"],
        ),
        ("proxy = \"http://u:${GONE}@h\"", vec!["destination.proxy: the environment variable GONE is not set"]),
        (
            "signing = [\"${GOOD}\", \"${BAD}\"]",
            vec!["destination.signing[1] is no signing secret of Standard Webhooks"],
        ),
        ("proxy = \"http://169.254.1.1:3128\"", vec!["destination.proxy leads to 169.254.1.1, which is link-local"]),
        ("ca_file = \"gone.pem\"", vec!["destination.ca_file: ", "gone.pem cannot be read"]),
        ("ca_file = \"orgs.csv\"", vec!["orgs.csv has no certificate in it"]),
    ] {
        let ran = check(extra).expect(2);
        says(&ran, &parts);
        assert!(!ran.stdout.contains("planted"), "{}", ran.stdout);
    }
}

#[test]
fn hints_name_settings_that_exist() {
    let preview = |csv: &str| home(csv, "", NOWHERE).run(&["preview", "orgs"]).expect(2);
    says(&preview("workspace_id,\na,b\n"), &["source.header = false"]);
    says(&preview("workspace_id,plan\n\"a\"x,b\n"), &["turn quotes off with source.quote = \"\""]);
    for (csv, delimiter) in [
        ("workspace_id;plan\na;pro\n", ";"),
        ("\"workspace_id\";\"plan\"\n\"a\";\"pro\"\n", ";"),
        ("workspace_id\tplan\na\tpro\n", "\\t"),
        ("workspace_id|plan\na|pro\n", "|"),
    ] {
        says(&preview(csv), &["is a single column", &format!("set source.delimiter = \"{delimiter}\"")]);
    }
    let semicolons =
        home("workspace_id,plan\na,pro\n", "delimiter = \";\"", NOWHERE).run(&["preview", "orgs"]).expect(2);
    says(&semicolons, &["set source.delimiter = \",\""]);
    for single in ["workspace_id\na\n", "\"workspace_id\"\na\n"] {
        home(single, "", NOWHERE).run(&["preview", "orgs"]).expect(0);
    }
}

#[test]
fn sql_errors_speak_of_sql() {
    let preview = |query: &str| home(CSV, &format!("query = \"{query}\""), NOWHERE).run(&["preview", "orgs"]).expect(2);
    let twice = preview("SELECT workspace_id, plan, plan FROM extract");
    says(&twice, &["duplicate output name 'plan'", "AS new_name"]);
    assert!(!twice.stderr.contains(".alias("), "{}", twice.stderr);
    let unknown = preview("SELECT workspace_id, pln FROM extract");
    says(&unknown, &["unable to find column \"pln\"", "did you mean `plan`?", "has the columns: workspace_id, plan"]);
    assert!(!unknown.stderr.contains("valid columns"), "{}", unknown.stderr);
}

#[test]
fn what_is_missing_in_a_job_file_has_no_place() {
    let home = Home::new();
    home.write("jobs/orgs.toml", "version = 1\n[source]\nkind = \"files\"\n");
    let ran = home.run(&["check"]).expect(2);
    says(
        &ran,
        &["jobs/orgs.toml: diff: the section is missing", "jobs/orgs.toml:2:1: source.path: the key is missing"],
    );
    let home = Home::new();
    std::fs::remove_dir(home.path("jobs")).unwrap();
    home.write("jobs", "not a folder");
    says(&home.run(&["check"]).expect(2), &["jobs: cannot be read: "]);
}

#[test]
fn a_guard_that_is_a_number_is_shown_as_a_table() {
    let home = home(CSV, "", NOWHERE);
    let job = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    home.write("jobs/orgs.toml", &format!("{job}[guard]\nmax_changed = 0.1\n"));
    let ran = home.run(&["check"]).expect(2);
    says(&ran, &["expected a table, found a number", "hint: such as { share = 0.1, floor = 10 }"]);
}

#[test]
fn garbage_in_the_state_store_has_a_remedy() {
    let home = Home::new();
    let path = home.path("nightmark.db");
    let store = path.display().to_string();
    for garbage in ["garbage\n".to_owned(), "no database ".repeat(1000)] {
        std::fs::write(&path, garbage).unwrap();
        for args in [&["runs"][..], &["keys", "create", "--name", "x"]] {
            let ran = home.run(args).expect(2);
            says(&ran, &[&store, "file is not a database; put a backup of nightmark.db back, or move the file away"]);
            assert!(!ran.stderr.contains("the state store failed"), "{}", ran.stderr);
        }
    }
}

/// Runs commands as a user who may read everything and write nothing.
struct Onlooker {
    home: Home,
    program: PathBuf,
}

impl Onlooker {
    fn of(home: Home) -> Self {
        // The target folder may be closed to others.
        let program = home.path("nightmark");
        std::fs::hard_link(env!("CARGO_BIN_EXE_nightmark"), &program)
            .or_else(|_| std::fs::copy(env!("CARGO_BIN_EXE_nightmark"), &program).map(drop))
            .unwrap();
        let onlooker = Onlooker { home, program };
        onlooker.allow(0o444, 0o555);
        onlooker
    }

    fn allow(&self, files: u32, folders: u32) {
        fn walk(dir: &Path, files: u32, folders: u32) {
            std::fs::set_permissions(dir, PermissionsExt::from_mode(0o755)).unwrap();
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, files, folders);
                } else if !path.ends_with("nightmark") {
                    std::fs::set_permissions(&path, PermissionsExt::from_mode(files)).unwrap();
                }
            }
            std::fs::set_permissions(dir, PermissionsExt::from_mode(folders)).unwrap();
        }
        walk(&self.home.path(""), files, folders);
    }

    fn run(&self, args: &[&str]) -> Ran {
        let mut command = std::process::Command::new(&self.program);
        command.args(args).env("TEST_KEY", "k").env("NIGHTMARK_HOME", self.home.path(""));
        command.current_dir(self.home.path(""));
        // To root, rights are no hindrance.
        if std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
            command.uid(65534).gid(65534);
        }
        ran(command.output().unwrap())
    }
}

impl Drop for Onlooker {
    fn drop(&mut self) {
        self.allow(0o644, 0o755);
    }
}

#[test]
fn who_may_only_read_can_look_and_is_told_why_a_run_cannot_be() {
    let destination = Destination::start();
    let home = home(CSV, "", &format!("http://{}/hook/${{TEST_KEY}}", destination.address));
    home.run(&["run", "orgs"]).expect(0);
    home.run(&["keys", "create", "--name", "first"]).expect(0);
    let onlooker = Onlooker::of(home);
    let run = &onlooker.run(&["runs", "--json"]).expect(0).json()[0];
    assert_eq!((&run["job"], &run["state"]), (&json!("orgs"), &json!("finished")));
    says(&onlooker.run(&["keys", "list"]).expect(0), &["first"]);
    says(&onlooker.run(&["preview", "orgs"]).expect(0), &["0 added, 0 changed"]);
    for args in [&["orgs", "list"][..], &["check"]] {
        onlooker.run(args).expect(0);
    }
    let folder = onlooker.home.path("jobs").parent().unwrap().display().to_string();
    let refused = format!("the home folder {folder} is not writable by this user");
    for args in [&["run", "orgs"][..], &["keys", "create", "--name", "x"]] {
        says(&onlooker.run(args).expect(2), &[&refused]);
    }
    onlooker.allow(0o400, 0o555);
    if std::fs::metadata(onlooker.home.path("jobs")).unwrap().permissions().mode() & 0o777 == 0o555 {
        let ran = onlooker.run(&["runs"]);
        // For a test that is not run by root, the onlooker is the owner.
        assert!(ran.code == 0 || ran.stderr.contains("this user may not read it"), "{}", ran.stderr);
    }
}

#[test]
fn keys_are_listed_with_their_template_and_secret() {
    let home = Home::new();
    home.write("own.toml", "product_org_id = \"it's.id\"\n");
    let create = |args: &[&str]| home.run(&[&["keys", "create", "--json", "--name"], args].concat()).expect(0).json();
    let flat = create(&["one", "--expires", "2999-01-31", "--with-secret"]);
    assert_eq!(
        ["name", "type", "template", "has_secret", "expires_at"].map(|field| &flat[field]),
        [&json!("one"), &json!("product-orgs"), &json!("flat"), &json!(true), &json!("2999-01-31T00:00:00Z")]
    );
    assert!(flat["id"].is_string() && flat["key"].is_string() && flat["secret"].is_string());
    create(&["two", "--template", "own.toml"]);
    create(&["three", "--type", "signal-staging"]);
    let listed = home.run(&["keys", "list", "--json"]).expect(0).json();
    let of = |field: &str| listed.as_array().unwrap().iter().map(|key| key[field].clone()).collect::<Vec<Value>>();
    assert_eq!(of("template"), [json!("flat"), json!("custom"), Value::Null]);
    assert_eq!(of("has_secret"), [json!(true), json!(false), json!(false)]);
    let table = home.run(&["keys", "list"]).expect(0).stdout;
    assert!(table.contains("TEMPLATE") && table.contains("SECRET") && table.contains("custom"), "{table}");

    let text = home.run(&["keys", "create", "--name", "f"]).expect(0).stdout;
    let guide: Value = serde_json::from_str(include_str!("fixtures/curl_flat.json")).unwrap();
    assert!(text.contains(&format!("-d '{guide}'")) && text.contains("or where it says that it listens"), "{text}");
    let text = home.run(&["keys", "create", "--name", "o", "--template", "own.toml"]).expect(0).stdout;
    assert!(text.contains(r#"-d '{"it'\''s":{"id":"test_ws_001"}}'"#), "{text}");
}

#[test]
fn keys_that_would_be_of_no_use_are_not_made() {
    let home = Home::new();
    home.write("t.json", "{\"product_org_id\": ");
    home.write("t.toml", "product_org_id = \"id\"\nnmae = \"a\"\nplan_id = 3\n");
    let create = |args: &[&str]| home.run(&[&["keys", "create"], args].concat()).expect(2);
    says(&create(&["--name", " "]), &["a key needs a name"]);
    says(&create(&["--name", "x", "--expires", "0d"]), &["--expires 0d: expected a time", "above 0"]);
    says(&create(&["--name", "x", "--expires", "2020-01-31"]), &["that day has begun already"]);
    says(&create(&["--name", "x", "--template", "t.json"]), &["t.json is not valid JSON: EOF while parsing"]);
    let problems = create(&["--name", "x", "--template", "t.toml"]);
    says(
        &problems,
        &["t.toml is not a payload template:\n  there is no field `nmae`; did you mean `name`?\n  plan_id: a path"],
    );
    assert!(!home.path("nightmark.db").exists());
}
