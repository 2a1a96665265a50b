//! What changes from night to night in an extract, and what must not follow from it: the real binary over real files.

use crate::support::{Destination, Home};
use serde_json::{Value, json};

struct Nights {
    home: Home,
    destination: Destination,
    file: &'static str,
}

impl Nights {
    /// A job over one file; `source` is more of its `[source]`, `diff` of its `[diff]`.
    fn new(file: &'static str, source: &str, diff: &str) -> Self {
        let (home, destination) = (Home::new(), Destination::start());
        let address = &destination.address;
        home.write(
            "jobs/orgs.toml",
            &format!(
                "version = 1\n[source]\nkind = \"files\"\npath = \"{file}\"\n{source}\n[diff]\nkey = \"workspace_id\"\n\
                 {diff}\n[destination]\nkind = \"http\"\nurl = \"http://{address}/\"\n[payload]\npreset = \"flat\"\n"
            ),
        );
        Nights { home, destination, file }
    }

    /// Runs a night over this content; returns the bodies sent, sorted.
    #[track_caller]
    fn night(&self, content: &str) -> Vec<Value> {
        self.home.write(self.file, content);
        self.home.job("orgs", 0);
        let mut bodies: Vec<Value> = self.destination.take().into_iter().map(|seen| seen.body).collect();
        bodies.sort_by_key(Value::to_string);
        bodies
    }
}

#[test]
fn a_nested_member_of_one_org_changes_no_other() {
    for source in ["", "query = \"SELECT * FROM extract\""] {
        let nights = Nights::new("orgs.ndjson", source, "");
        let line = |org: &str, flags: &str| format!("{{\"workspace_id\":\"{org}\",\"flags\":{flags}}}\n");
        let first = nights.night(&[line("a", "{\"old\":1}"), line("b", "{\"old\":2}")].concat());
        assert_eq!(first.len(), 2);
        let second = nights.night(&[line("a", "{\"old\":1.0}"), line("b", "{\"beta\":true,\"old\":2}")].concat());
        assert_eq!(second, [json!({"workspace_id": "b", "flags": {"beta": true, "old": 2}})], "{source}");
        let third = nights.night(&[line("a", "{\"old\":1}"), line("b", "{\"old\":2, \"beta\":true}")].concat());
        assert_eq!(third.len(), 0, "neither spelling nor order count");
    }
}

#[test]
fn a_float_beside_large_keys_changes_none_of_them() {
    let nights = Nights::new("orgs.ndjson", "", "");
    let ids = "{\"workspace_id\":9007199254740993}\n{\"workspace_id\":9007199254740995}\n";
    assert_eq!(nights.night(ids).len(), 2);
    let second = nights.night(&format!("{ids}{{\"workspace_id\":7.0}}\n"));
    assert_eq!(second, [json!({"workspace_id": 7})]);
    nights.home.write("orgs.ndjson", &format!("{ids}{{\"workspace_id\":7.5}}\n"));
    let failed = nights.home.run(&["run", "orgs", "--json"]).expect(2);
    assert!(failed.stderr.contains("line 1: `workspace_id` cannot be read exactly"), "{}", failed.stderr);
    assert_eq!(nights.destination.take().len(), 0);
}

#[test]
fn a_models_input_may_fill_and_lose_columns() {
    let query = "query = \"SELECT workspace_id, plan FROM extract\"";
    let nights = Nights::new("orgs.csv", query, "");
    assert_eq!(nights.night("workspace_id,plan,seats,note\na,pro,,x\n").len(), 1);
    assert_eq!(nights.night("workspace_id,plan,seats,note\na,pro,5,x\n").len(), 0);
    // `seats` was empty on the first night and is a number now; `note` is gone, and nobody needs it.
    let job = std::fs::read_to_string(nights.home.path("jobs/orgs.toml")).unwrap();
    nights.home.write("jobs/orgs.toml", &job.replace(query, "query = \"SELECT *, seats * 2 AS twice FROM extract\""));
    let sent = nights.night("workspace_id,plan,seats\na,pro,5\n");
    assert_eq!(sent, [json!({"workspace_id": "a", "plan": "pro", "seats": 5, "twice": 10})]);
    nights.home.write("jobs/orgs.toml", &job);
    nights.home.write("orgs.csv", "workspace_id,seats\na,5\n");
    let failed = nights.home.run(&["run", "orgs"]).expect(2);
    assert!(failed.stderr.contains("plan"), "{}", failed.stderr);
}
