//! "When to Send Updates": what is worth tracking triggers a send, what is to be avoided never does.

use crate::support::{Destination, Home, job_file};
use serde_json::json;

const HEADER: &str = "workspace_id,plan_id,plan_name,trial_ends,user_count,mrr,sso_enabled,api_access,trial_status,last_active_at,\
                      last_login_at,updated_at,request_count,page_views";

/// `changed`: a column of the first org, and its new value. `day` is when everybody was last active.
fn orgs(day: u32, changed: Option<(&str, &str)>) -> String {
    let columns: Vec<&str> = HEADER.split(',').collect();
    let row = |number: u32| {
        let id = format!("ws_{number:02}");
        let seen = format!("2026-01-{day:02}T10:{number:02}:00Z");
        let counted = (day * 1000 + number).to_string();
        let mut values = vec![
            id.as_str(),
            "pro",
            "Pro",
            "2026-03-01",
            "10",
            "9900",
            "false",
            "false",
            "active",
            &seen,
            &seen,
            &seen,
            &counted,
            &counted,
        ];
        if let Some((column, value)) = changed.filter(|_| number == 1) {
            let at = columns.iter().position(|name| *name == column).unwrap();
            assert_ne!(values[at], value, "{column}");
            values[at] = value;
        }
        values.join(",")
    };
    let rows: Vec<String> = (1..=30).map(row).collect();
    format!("{HEADER}\n{}\n", rows.join("\n"))
}

fn home(diff: &str, destination: &Destination) -> Home {
    let home = Home::new();
    let to = format!("url = \"http://{}/\"", destination.address);
    home.write("jobs/orgs.toml", &job_file(diff, &to, "preset = \"flat\""));
    home.write("orgs.csv", &orgs(1, None));
    home
}

#[test]
fn attributes_worth_tracking_trigger_and_the_others_do_not() {
    let destination = Destination::start();
    let ignore = "ignore = [\"last_active_at\", \"last_login_at\", \"updated_at\", \"request_count\", \"page_views\"]";
    let home = home(ignore, &destination);
    assert_eq!(home.job("orgs", 0)["acknowledged"], json!(30));
    destination.take();
    let worth = [
        ("plan_id", "enterprise"),    // upgrades, downgrades
        ("trial_ends", "2026-04-01"), // trial start or end
        ("user_count", "11"),         // users added or removed
        ("mrr", "12900"),             // billing adjustments, add-ons, renewals
        ("sso_enabled", "true"),      // feature flags
        ("api_access", "true"),
        ("trial_status", "expired"), // active → expired → converted
        ("trial_status", "converted"),
    ];
    for (night, change) in worth.into_iter().enumerate() {
        // Everybody was active in between; that alone sends nothing. The change before this one is taken back, which sends too.
        home.write("orgs.csv", &orgs(2 + night as u32, Some(change)));
        let report = home.job("orgs", 0);
        assert_eq!([&report["changed"], &report["unchanged"]], [&json!(1), &json!(29)], "{change:?}: {report}");
        let seen = destination.take();
        assert_eq!((seen.len(), seen[0].org()), (1, "ws_01"), "{change:?}");
        assert_eq!(seen[0].body[change.0].to_string().trim_matches('"'), change.1, "{}", seen[0].body);
    }
}

#[test]
fn a_volatile_column_is_named_with_the_line_to_change() {
    let destination = Destination::start();
    let home = home("ignore = [\"last_login_at\", \"updated_at\", \"request_count\", \"page_views\"]", &destination);
    home.job("orgs", 0);
    destination.take();
    home.write("orgs.csv", &orgs(2, None));
    let preview = home.run(&["preview", "orgs"]).expect(0).stdout;
    for part in [
        "30 changed",
        "column `last_active_at` differs in 30 of 30 changed orgs",
        "add it to `ignore` in",
        "orgs.toml:7",
    ] {
        assert!(preview.contains(part), "{part}\n---\n{preview}");
    }
    let job = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    home.write("jobs/orgs.toml", &job.replace("ignore = [", "ignore = [\"last_active_at\", "));
    assert_eq!(home.job("orgs", 0)["unchanged"], json!(30), "with the column left out nothing is sent");
    assert_eq!(destination.take().len(), 0);
}
