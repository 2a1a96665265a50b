//! "Segment": group calls, the Webhooks (Actions) destination, and the mapping table.

use super::{create_key, keep, org};
use crate::interop::{Receiver, Vendor, group_calls, other_events, sender, through_webhooks_actions};
use crate::support::{Destination, Home, Served};
use serde_json::{Value, json};

/// The tip of the section: "a nightly batch job that compares current values to a snapshot and fires `group` only for orgs
/// where scoring-relevant fields differ", through Segment, into the receiver.
#[test]
fn a_nightly_batch_fires_group_only_for_orgs_that_differ() {
    let segment = Destination::start();
    let home = sender(Vendor::Segment, "batch", &segment);
    let receiver = Receiver::start(&["--with-secret"]);
    let night = || {
        let calls = group_calls(&home, &segment);
        // The source's other events: "Event type is group" keeps them away.
        through_webhooks_actions(&receiver, &[other_events(), calls.clone()].concat(), "single");
        calls
    };
    let first = night();
    assert_eq!(first.len(), 4);
    let call = &first[0];
    assert_eq!([&call["type"], &call["groupId"], &call["userId"]], ["group", "ws_abc123", "user_789"]);
    assert!(call["messageId"].as_str().is_some_and(|id| id.len() < 100), "{call}");
    receiver.has_the_guides_org();

    let accounts = std::fs::read_to_string(home.path("accounts.csv")).unwrap();
    // A plan changes; a region and an owner change too, which scoring does not look at.
    let changed = accounts
        .replace("team,Team,12", "pro_annual,Pro Annual,12")
        .replace("free,Free,4,0,expired,,us-east", "free,Free,4,0,expired,user_9,ap-south");
    assert_ne!(changed, accounts);
    home.write("accounts.csv", &changed);
    let second = night();
    assert_eq!(second.iter().map(|call| &call["groupId"]).collect::<Vec<_>>(), ["ws_def456"]);
    assert_eq!(receiver.org("ws_def456")["plan_id"], json!("pro_annual"));
    assert_eq!(night(), Vec::<Value>::new(), "a night without changes fires nothing");
}

/// Without Segment in between: the same event, the same template.
#[test]
fn a_job_sends_to_the_receiver() {
    let home = Home::new();
    let served = Served::start(&home);
    keep(
        &home,
        &create_key(&home, &["--name", "segment", "--type", "product-orgs", "--template", "segment", "--with-secret"]),
    );
    home.write("orgs.ndjson", "{\"id\":\"ws_1\",\"title\":\"A \\\"quoted\\\"\\nname\",\"plan\":\"pro\",\"seats\":4}\n");
    home.write(
        "jobs/segment.toml",
        &format!(
            "version = 1\n[source]\nkind = \"files\"\npath = \"orgs.ndjson\"\n[diff]\nkey = \"id\"\n[destination]\nkind = \"http\"\n\
             url = \"http://{}/api/product-orgs/webhook/${{file:receiver.key}}\"\nsecret = \"${{file:receiver.secret}}\"\n\
             [payload]\npreset = \"group\"\n[payload.fields]\n\"traits.name\" = \"title\"\n\"traits.plan\" = \"plan\"\n\"traits.employees\" = \"seats\"\n",
            served.receiver
        ),
    );
    assert_eq!(home.job("segment", 0)["acknowledged"], json!(1));
    let org = org(&home, "ws_1");
    assert_eq!((&org["name"], &org["user_count"]), (&json!("A \"quoted\"\nname"), &json!(4)));
}

/// A sender of ours that is set up for Segment and pointed at the receiver: what an SDK can do, a job can do.
#[test]
fn a_segment_job_can_be_pointed_at_the_receiver() {
    for (vendor, mode) in [(Vendor::Segment, "single"), (Vendor::Segment, "batch"), (Vendor::RudderStack, "batch")] {
        let unused = Destination::start();
        let receiver = Receiver::start(&[]);
        let home = sender(vendor, mode, &unused);
        let job = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
        home.write("receiver.key", &receiver.key);
        let job = job.replace(&unused.address.to_string(), &receiver.served.receiver);
        home.write("jobs/orgs.toml", &job.replace("${TEST_KEY}", "${file:receiver.key}"));
        assert_eq!(home.job("orgs", 0)["acknowledged"], json!(4), "{vendor:?} {mode}");
        receiver.has_the_guides_org();
        assert_eq!(receiver.orgs().len(), 4);
    }
}
