//! Values from file to body: exact, or a reject that says so.

use crate::support::{Destination, Home};
use serde_json::json;

fn home(destination: &Destination, file: &str, diff: &str) -> Home {
    let home = Home::new();
    home.write(
        "jobs/orgs.toml",
        &format!(
            "version = 1\n[source]\nkind = \"files\"\npath = \"{file}\"\n[diff]\nkey = \"workspace_id\"\n{diff}\n\
             [guard]\nmax_rejected = {{ share = 1, floor = 0 }}\n[destination]\nkind = \"http\"\nurl = \"http://{}/\"\n[payload]\npreset = \"flat\"\n",
            destination.address
        ),
    );
    home
}

#[test]
fn numbers_are_read_exactly_or_rejected() {
    let destination = Destination::start();
    let home = home(&destination, "orgs.csv", "");
    let extract = |users: &str, mrr: &str| {
        home.write("orgs.csv", &format!("workspace_id,users,mrr\na,1,1.5\nb,{users},{mrr}\n"));
    };
    extract("2", "2.5");
    home.job("orgs", 0);
    destination.take();
    for (users, mrr) in [("007", "2.5"), ("+2", "2.5"), ("2.5", "2.5"), ("2", "9007199254740993"), ("2", "1e999")] {
        extract(users, mrr);
        let report = home.job("orgs", 1);
        assert_eq!((&report["rejected"], &report["unchanged"]), (&json!(1), &json!(1)), "{users} {mrr}");
    }
    extract("2.0", "25e-1");
    assert_eq!(home.job("orgs", 0)["unchanged"], json!(2), "another spelling of the same numbers");
    extract("2", "9007199254740992");
    home.job("orgs", 0);
    let seen = destination.take();
    assert_eq!((seen.len(), seen[0].body["mrr"].as_f64()), (1, Some(9_007_199_254_740_992.0)));
}

#[test]
fn a_payload_only_value_that_does_not_fit_rejects_its_row_alone() {
    let destination = Destination::start();
    let home = home(&destination, "orgs.csv", "compare = [\"plan\"]");
    home.write("orgs.csv", "workspace_id,plan,mrr\na,free,1\nb,free,2\n");
    home.job("orgs", 0);
    destination.take();
    home.write("orgs.csv", "workspace_id,plan,mrr\na,free,n/a\nb,pro,100\n");
    let report = home.job("orgs", 1);
    assert!(report["notes"][0].as_str().unwrap().contains("mrr = `n/a`"), "{report}");
    let seen = destination.take();
    assert_eq!((seen.len(), &seen[0].body["mrr"]), (1, &json!(100)), "the others keep their numbers");
}

#[test]
fn json_keeps_its_digits_and_is_compared_by_structure() {
    let destination = Destination::start();
    let home = home(&destination, "orgs.ndjson", "");
    let night = |flags: &str| {
        home.write("orgs.ndjson", &format!("{{\"workspace_id\":\"a\",\"flags\":{flags}}}\n"));
        home.job("orgs", 0)["unchanged"].clone()
    };
    night(r#"{"limit":9007199254740993,"price":10.10,"on":true}"#);
    let body = destination.take()[0].body.to_string();
    assert!(body.contains(r#""flags":{"limit":9007199254740993,"on":true,"price":10.1}"#), "{body}");
    assert_eq!(night(r#"{ "on": true, "price": 1.01e1, "limit": 9007199254740993.0 }"#), json!(1));
    assert_eq!(night(r#"{"limit":9007199254740992,"price":10.10,"on":true}"#), json!(0), "one apart is a change");
}

#[test]
fn a_number_of_ndjson_that_a_double_cannot_hold_is_refused_with_its_line() {
    let destination = Destination::start();
    let home = home(&destination, "orgs.ndjson", "");
    for number in ["9007199254740992.5", "1e-400", "1e400"] {
        home.write(
            "orgs.ndjson",
            &format!("{{\"workspace_id\":\"a\",\"v\":1.5}}\n{{\"workspace_id\":\"b\",\"v\":{number}}}\n"),
        );
        let ran = home.run(&["run", "orgs"]).expect(2);
        assert!(ran.stderr.contains("line 2") && ran.stderr.contains(number), "{number}: {}", ran.stderr);
    }
    assert_eq!(destination.take().len(), 0);
}
