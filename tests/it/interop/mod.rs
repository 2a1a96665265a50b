//! The vendors' own code against our binary: SDKs that call our receiver, and what stands between our sender and a receiver
//! when a CDP is in the middle.

mod sdks;

use crate::support::{Home, Served};
use serde_json::Value;

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
}

impl Receiver {
    /// `args` of `keys create` besides name, type and template.
    pub fn start(args: &[&str]) -> Receiver {
        let home = Home::new();
        let served = Served::start(&home);
        let create = ["keys", "create", "--json", "--name", "cdp", "--type", "product-orgs", "--template", "segment"];
        let key = home.run(&[&create, args].concat()).expect(0).json();
        let text = |name: &str| key[name].as_str().unwrap_or_default().to_owned();
        Receiver { home, served, key: text("key") }
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
