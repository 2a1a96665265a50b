//! The vendors' own code against our binary: SDKs that call our receiver, and what stands between our sender and a receiver
//! when a CDP is in the middle.

mod actions;
mod sdks;
mod transformation;

use crate::support::{Destination, Home, Served};
use serde_json::{Value, json};

pub use actions::through_webhooks_actions;
pub use transformation::transformed;

/// What the guide says that Segment delivers of its example.
pub const GUIDE_EVENT: &str = include_str!("../fixtures/segment_group.json");
/// The guide's example of a group call, for Segment and for RudderStack.
pub const SEGMENT_CALL: &str = include_str!("../fixtures/guide/segment_group_call.js");
pub const RUDDERSTACK_CALL: &str = include_str!("../fixtures/guide/rudderstack_group_call.js");

/// A home with a receiver, and a key for group events.
pub struct Receiver {
    pub home: Home,
    pub served: Served,
    pub key: String,
    pub secret: String,
}

impl Receiver {
    /// `args` of `keys create` besides name, type and template.
    pub fn start(args: &[&str]) -> Receiver {
        let home = Home::new();
        let served = Served::start_with(&home, &[("SEGMENT_SHARED_SECRET", actions::SHARED_SECRET)]);
        let create = ["keys", "create", "--json", "--name", "cdp", "--type", "product-orgs", "--template", "segment"];
        let key = home.run(&[&create, args].concat()).expect(0).json();
        let text = |name: &str| key[name].as_str().unwrap_or_default().to_owned();
        let (key, secret) = (text("key"), text("secret"));
        Receiver { home, served, key, secret }
    }

    pub fn webhook(&self) -> String {
        format!("http://{}/api/product-orgs/webhook/{}", self.served.receiver, self.key)
    }

    /// `nightmark orgs show ID`
    pub fn org(&self, id: &str) -> Value {
        self.home.run(&["orgs", "show", id, "--json"]).expect(0).json()
    }

    /// The ids of `nightmark orgs list`.
    pub fn orgs(&self) -> Vec<String> {
        let orgs = self.home.run(&["orgs", "list", "--json"]).expect(0).json();
        orgs.as_array().unwrap().iter().map(|org| org["product_org_id"].as_str().unwrap().to_owned()).collect()
    }

    /// Ends the receiver as `kill -9` does. What it acknowledged is read from its home.
    pub fn kill(self) -> Home {
        drop(self.served);
        self.home
    }

    /// The org that the guide's example is about, as its mapping table takes it apart.
    #[track_caller]
    pub fn has_the_guides_org(&self) {
        let traits = &serde_json::from_str::<Value>(GUIDE_EVENT).unwrap()["traits"];
        let org = self.org("ws_abc123");
        for (field, path) in [
            ("name", "name"),
            ("plan_id", "plan"),
            ("plan_name", "plan_name"),
            ("user_count", "employees"),
            ("mrr", "mrr"),
            ("trial_status", "trial_status"),
        ] {
            assert!(!traits[path].is_null());
            assert_eq!(org[field], traits[path], "{field} of {org}");
        }
    }
}

/// Whose API a job speaks.
#[derive(Debug, Clone, Copy)]
pub enum Vendor {
    Segment,
    RudderStack,
}

/// A home with a job `orgs` over the accounts of `jobs/data`, which sends group calls to `to` as to the vendor.
pub fn sender(vendor: Vendor, mode: &str, to: &Destination) -> Home {
    let home = Home::new();
    let accounts = concat!(env!("CARGO_MANIFEST_DIR"), "/jobs/data/accounts.csv");
    std::fs::copy(accounts, home.path("accounts.csv")).unwrap();
    let destination = match vendor {
        Vendor::Segment => {
            format!("kind = \"segment\"\nwrite_key = \"${{TEST_KEY}}\"\nbase_url = \"http://{}\"", to.address)
        }
        Vendor::RudderStack => {
            format!("kind = \"rudderstack\"\nwrite_key = \"${{TEST_KEY}}\"\ndata_plane_url = \"http://{}\"", to.address)
        }
    };
    home.write(
        "jobs/orgs.toml",
        &format!(
            r#"version = 1
[source]
kind = "files"
path = "accounts.csv"
[diff]
key = "workspace_id"
compare = ["workspace_name", "plan_id", "plan_name", "user_count", "mrr_cents", "trial_status"]
[destination]
{destination}
mode = "{mode}"
[payload]
preset = "group"
[payload.fields]
groupId = "workspace_id"
"traits.name" = "workspace_name"
"traits.plan" = "plan_id"
"traits.plan_name" = "plan_name"
"traits.employees" = "user_count"
"traits.mrr" = "mrr_cents"
"traits.trial_status" = "trial_status"
userId = "owner_id"
"#
        ),
    );
    home
}

/// Runs the job and returns the group calls that it made, whichever way they were packed, in the order of their ids.
pub fn group_calls(home: &Home, to: &Destination) -> Vec<Value> {
    home.job("orgs", 0);
    let mut calls = Vec::new();
    for seen in to.take() {
        match seen.path.as_str() {
            "/v1/group" => calls.push(seen.body),
            "/v1/batch" => calls.extend(seen.body["batch"].as_array().unwrap().iter().cloned()),
            other => panic!("{other}"),
        }
    }
    calls.sort_by_key(|call| call["groupId"].to_string());
    calls
}

/// Events that say nothing about an org, as they come along with group calls.
pub fn other_events() -> Vec<Value> {
    ["track", "identify", "page", "screen", "alias"]
        .map(|kind| json!({"type": kind, "userId": "user_789", "groupId": "not_an_org", "messageId": format!("m-{kind}")}))
        .to_vec()
}
