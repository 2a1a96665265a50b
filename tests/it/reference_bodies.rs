//! The example bodies of the reference guide come out of the example jobs, key order included.
//!
//! tests/it/fixtures/*.json are the guide's own JSON blocks, copied: the body of its cURL call (which is also what its
//! Hightouch template makes of that row) and what it says that Segment delivers.

use crate::support::environment;
use arrow::array::RecordBatch;
use nightmark::config::Home;
use nightmark::job::load_job;
use nightmark::job::spec::{Baseline, Job};
use nightmark::normalise::{Plan, Role, plain};
use nightmark::row::{RowRef, Schema};
use nightmark::source::Ask;
use nightmark::template::{Meta, Template};
use std::path::Path;

const CURL: &str = include_str!("fixtures/curl_flat.json");
const SEGMENT: &str = include_str!("fixtures/segment_group.json");

/// Every body of a job, in the extract's order.
fn bodies(name: &str) -> Vec<String> {
    let home = Home::new(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let job: Job = load_job(&home, name).unwrap();
    let (schema, batches) = canonical(&job);
    let template = Template::compile(&job.payload, &schema, &job.diff.key, &job.diff.ignore).unwrap();
    let at = "2026-01-15T10:30:00Z".parse().unwrap();
    let meta = Meta { job: &job.name, webhook_id: "nm_test", operation: "added", at };
    let rows = batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)));
    rows.map(|(batch, row)| template.render(RowRef { schema: &schema, batch, row }, &meta).unwrap()).collect()
}

/// The job's extract in its canonical form.
fn canonical(job: &Job) -> (Schema, Vec<RecordBatch>) {
    let ask = Ask { pinned: None, pinned_input: None, limit: None, wanted: &|_| true };
    let stream =
        nightmark::source::open(&job.source, &environment(Path::new(env!("CARGO_MANIFEST_DIR")))).stream(&ask).unwrap();
    let plan = Plan::new(&stream.schema, &stream.typing, None, &|_| Role::Strict).unwrap();
    let mut batches = Vec::new();
    while let Some(piece) = stream.rows.next().unwrap() {
        for batch in piece.batches {
            let normalised = plan.batch(&batch.unwrap()).unwrap();
            assert!(normalised.misfits.is_empty());
            let columns = normalised.batch.columns().iter().map(|array| plain(array).unwrap());
            batches.push(RecordBatch::try_new(plan.schema().arrow(), columns.collect()).unwrap());
        }
    }
    (plan.schema().clone(), batches)
}

fn compact(json: &str) -> String {
    serde_json::from_str::<serde_json::Value>(json).unwrap().to_string()
}

fn check(job: &str, expected: &str) {
    let bodies = bodies(job);
    assert_eq!(compact(&bodies[0]), compact(expected), "{job}");
    for body in &bodies {
        compact(body);
    }
}

#[test]
fn the_curl_body_comes_out_of_the_flat_job() {
    check("trailspark-flat", CURL);
    check("backfill", CURL);
}

#[test]
fn the_hightouch_template_makes_the_curl_body() {
    check("webhook", CURL);
    // A quote in a name and a NULL in a number break the same template elsewhere.
    let bodies = bodies("webhook");
    assert!(bodies[1].contains(r#""workspace_name": "Ångström & Söhne \"Labs\"""#), "{}", bodies[1]);
    assert!(bodies[4].contains(r#""mrr": null"#), "{}", bodies[4]);
}

#[test]
fn what_segment_delivers_comes_out_of_the_group_job() {
    // The guide's event has an id of Segment's own; ours is that of the row's version.
    let expected = SEGMENT.replace("seg-msg-abc123", "nm_test");
    assert_ne!(expected, SEGMENT);
    check("segment-group", &expected);
    check("trailspark-group", &expected);
}

/// The same structure (type, groupId, traits); what RudderStack's job does not map is filled in.
#[test]
fn the_rudderstack_job_has_segments_structure() {
    let body: serde_json::Value = serde_json::from_str(&bodies("rudderstack-group")[0]).unwrap();
    let segment: serde_json::Value = serde_json::from_str(SEGMENT).unwrap();
    for field in ["type", "groupId", "traits", "userId"] {
        assert_eq!(body[field].to_string(), segment[field].to_string());
    }
    let order: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(order, ["type", "groupId", "traits", "userId", "timestamp", "messageId", "context"]);
}

#[test]
fn the_example_jobs_send_on_their_first_run() {
    let home = Home::new(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    for name in ["trailspark-flat", "trailspark-group", "segment-group", "rudderstack-group", "webhook", "backfill"] {
        let job = load_job(&home, name).unwrap();
        assert_eq!((job.name.as_str(), job.diff.first_run), (name, Baseline::Send));
    }
}
