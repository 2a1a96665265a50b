//! Leaving Hightouch: a model and a sync become a job file that `check` accepts and `run` delivers.

use crate::support::{Destination, Home, KEY, Ran, SECRET, ran};
use serde_json::{Value, json};

const MODEL: &str = include_str!("fixtures/hightouch/model.yaml");
const SYNC: &str = include_str!("fixtures/hightouch/sync.yaml");
const DESTINATION: &str = include_str!("fixtures/hightouch/destination.json");

/// The table that the model reads, before its SQL renames a column.
const NIGHT_1: &str = "workspace_id,workspace_name,plan_id,plan_name,user_count,mrr_cents,trial_status,internal_note
ws_1,\"Acme \"\"Corp\"\"\",pro,Pro,47,49900,converted,x
ws_2,Beta,free,Free,3,,active,y
";
const NIGHT_2: &str = "workspace_id,workspace_name,plan_id,plan_name,user_count,mrr_cents,trial_status,internal_note
ws_1,\"Acme \"\"Corp\"\"\",pro,Pro,48,49900,converted,changed
ws_2,Beta,free,Free,3,,active,changed
";

/// A home with the files of the guide's model and sync, in which somebody wrote down the key and the secret.
fn home(base: &str) -> Home {
    let home = Home::new();
    home.write("model.yaml", MODEL);
    home.write("workspaces-to-trailspark.yaml", &SYNC.replace("PLANTED_KEY", KEY));
    home.write("destination.json", &DESTINATION.replace("PLANTED_SECRET", SECRET).replace("BASE_URL", base));
    home.write("workspaces.csv", NIGHT_1);
    home
}

fn import(home: &Home, more: &[&str]) -> Ran {
    let mut args = vec!["import", "hightouch", "model.yaml", "workspaces-to-trailspark.yaml"];
    args.extend(more);
    home.run(&args)
}

/// Runs a command with the variables set that the import has named.
fn with_secrets(home: &Home, args: &[&str]) -> Ran {
    let mut command = home.command(args);
    command.env("TRAILSPARK_API_KEY", KEY).env("TRAILSPARK_API_SECRET", SECRET);
    ran(command.output().unwrap())
}

#[test]
fn a_sync_is_imported_checked_and_delivered() {
    let destination = Destination::start();
    let home = home(&format!("http://{}", destination.address));
    let imported = import(&home, &["--destination", "destination.json", "--source", "workspaces.csv"]).expect(0);
    assert!(imported.stdout.contains("jobs/workspaces-to-trailspark.toml"), "{}", imported.stdout);
    let job = "workspaces-to-trailspark";
    let text = std::fs::read_to_string(home.path(&format!("jobs/{job}.toml"))).unwrap();
    for part in [
        "schedule = \"0 * * * *\"",
        "key = \"workspace_id\"",
        "on = [\"added\", \"changed\"]",
        "kind = \"trailspark\"",
        "key = \"${TRAILSPARK_API_KEY}\"",
        "secret = \"${TRAILSPARK_API_SECRET}\"",
        "\"X-Tenant\" = \"acme\"",
        "rate = \"50/s\"",
        "concurrency = 4",
        "retry = { attempts = 4 }",
        "timeout = \"30s\"",
        "mrr_cents AS mrr",
        "\"mrr\": {{row.mrr}},",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }

    with_secrets(&home, &["check", job]).expect(0);
    let run = with_secrets(&home, &["run", job, "--json"]).expect(0).json();
    assert_eq!(run["acknowledged"], json!(2));
    let mut seen = destination.take();
    seen.sort_by_key(|request| request.org().to_owned());
    assert_eq!(seen[0].path, format!("/api/product-orgs/webhook/{KEY}"));
    assert_eq!((seen[0].headers["x-api-secret"].as_str(), seen[0].headers["x-tenant"].as_str()), (SECRET, "acme"));
    assert_eq!(
        seen[0].body,
        json!({"workspace_id": "ws_1", "workspace_name": "Acme \"Corp\"", "plan_id": "pro", "plan_name": "Pro",
               "user_count": 47, "mrr": 49900, "trial_status": "converted"})
    );
    assert_eq!(seen[1].body["mrr"], Value::Null, "a NULL that Hightouch's template would have made broken JSON of");

    home.write("workspaces.csv", NIGHT_2);
    with_secrets(&home, &["run", job]).expect(0);
    assert_eq!(destination.take_orgs(), ["ws_1"], "a column that the model leaves out triggers nothing");
}

#[test]
fn what_the_destination_has_is_adopted_without_sending() {
    let destination = Destination::start();
    let home = home(&format!("http://{}", destination.address));
    let more = ["--destination", "destination.json", "--source", "workspaces.csv", "--adopt", "--out", "jobs/ht.toml"];
    import(&home, &more).expect(0);
    with_secrets(&home, &["run", "ht"]).expect(0);
    assert_eq!(destination.take_orgs(), Vec::<String>::new());
    home.write("workspaces.csv", NIGHT_2);
    with_secrets(&home, &["run", "ht"]).expect(0);
    assert_eq!(destination.take_orgs(), ["ws_1"]);
}

#[test]
fn no_secret_is_written_or_told_and_nothing_is_dropped_in_silence() {
    let home = home("https://acme.trailspark.ai");
    let imported = import(&home, &["--destination", "destination.json", "--json"]).expect(0);
    let text = std::fs::read_to_string(home.path("jobs/workspaces-to-trailspark.toml")).unwrap();
    for planted in [KEY, SECRET, "planted-person"] {
        assert!(!format!("{text}{}{}", imported.stdout, imported.stderr).contains(planted), "{planted}");
    }
    assert!(imported.stderr.contains("sync: config.alertOwners: not known"), "{}", imported.stderr);
    assert!(text.contains("# - sync: config.alertOwners: not known"), "{text}");
    let told = imported.json();
    assert_eq!(told["environment"][0]["name"], json!("TRAILSPARK_API_KEY"));
    assert_eq!(told["environment"][1]["name"], json!("TRAILSPARK_API_SECRET"));
    assert_eq!((&told["problems"], &told["lost"].as_array().map(Vec::len)), (&json!([]), &Some(1)));
    let missing = home.run(&["check", "workspaces-to-trailspark"]).expect(2);
    assert!(missing.stdout.contains("TRAILSPARK_API_KEY"), "{}", missing.stdout);
}

#[test]
fn without_the_destination_its_base_url_is_a_variable() {
    let home = home("");
    let printed = import(&home, &["--out", "-"]).expect(0);
    assert!(
        printed.stdout.contains("url = \"${DESTINATION_BASE_URL}/api/product-orgs/webhook/${TRAILSPARK_API_KEY}\"")
    );
    assert!(!home.path("jobs/workspaces-to-trailspark.toml").exists());
    let named = import(&home, &["--out", "-", "--base-url", "https://acme.trailspark.ai"]).expect(0);
    assert!(
        named.stdout.contains("url = \"https://acme.trailspark.ai/api/product-orgs/webhook/${TRAILSPARK_API_KEY}\"")
    );
}

#[test]
fn a_job_file_is_not_written_over() {
    let home = home("");
    home.write("jobs/mine.toml", "# mine\n");
    let refused = import(&home, &["--out", "jobs/mine.toml"]).expect(2);
    assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
    assert_eq!(std::fs::read_to_string(home.path("jobs/mine.toml")).unwrap(), "# mine\n");
    import(&home, &["--out", "jobs/mine.toml", "--force"]).expect(0);
    assert!(std::fs::read_to_string(home.path("jobs/mine.toml")).unwrap().contains("name = \"mine\""));
}

#[test]
fn files_in_the_wrong_order_and_files_that_are_none() {
    let home = home("");
    let swapped = home.run(&["import", "hightouch", "workspaces-to-trailspark.yaml", "model.yaml"]).expect(2);
    assert!(swapped.stderr.contains("give the model first"), "{}", swapped.stderr);
    home.write("broken.yaml", &format!("a: [{KEY}\n"));
    let broken = home.run(&["import", "hightouch", "broken.yaml", "model.yaml"]).expect(2);
    assert!(broken.stderr.contains("not valid YAML") && !broken.stderr.contains(KEY), "{}", broken.stderr);
    home.run(&["import", "hightouch", "none.yaml", "model.yaml"]).expect(2);
}
