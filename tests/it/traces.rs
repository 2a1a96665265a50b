//! Traces of runs as a collector gets them, and a collector that is not there.

use crate::support::{Destination, Home, KEY, SECRET, job_file};
use serde_json::Value;
use std::collections::BTreeSet;

fn home(destination: &Destination, collector: &str) -> Home {
    let home = Home::new();
    let to = format!("url = \"http://{}/${{TEST_KEY}}\"\nsecret = \"${{TEST_SECRET}}\"", destination.address);
    home.write("jobs/orgs.toml", &job_file("", &to, "preset = \"flat\""));
    home.write("orgs.csv", "workspace_id,plan_id\nws_1,free\nws_2,free\n");
    home.write("nightmark.toml", &format!("[telemetry]\notlp = \"{collector}\"\n"));
    home
}

fn attribute<'a>(span: &'a Value, name: &str) -> Option<&'a str> {
    let all = span["attributes"].as_array()?;
    all.iter().find(|attribute| attribute["key"] == name)?["value"]["stringValue"].as_str()
}

#[test]
fn a_run_is_a_trace() {
    let (destination, collector) = (Destination::start(), Destination::start());
    let home = home(&destination, &format!("http://{}", collector.address));
    let run = home.job("orgs", 0)["run"].as_str().unwrap().to_owned();
    let requests = collector.take();
    assert!(!requests.is_empty() && requests.iter().all(|request| request.path == "/v1/traces"), "{requests:?}");
    assert!(requests.iter().all(|request| request.headers["content-type"] == "application/json"), "{requests:?}");
    let bodies: Vec<&Value> =
        requests.iter().flat_map(|request| request.body["resourceSpans"].as_array().unwrap()).collect();
    let service = bodies[0]["resource"]["attributes"].as_array().unwrap();
    assert!(
        service
            .iter()
            .any(|attribute| attribute["key"] == "service.name" && attribute["value"]["stringValue"] == "nightmark")
    );
    let scopes = bodies.iter().flat_map(|body| body["scopeSpans"].as_array().unwrap());
    let spans: Vec<&Value> = scopes.flat_map(|scope| scope["spans"].as_array().unwrap()).collect();
    let root: Vec<&&Value> = spans.iter().filter(|span| span["name"] == "run").collect();
    assert_eq!(root.len(), 1, "{spans:?}");
    assert_eq!((attribute(root[0], "job"), attribute(root[0], "run")), (Some("orgs"), Some(run.as_str())));
    let stages: BTreeSet<&str> = spans
        .iter()
        .filter(|span| {
            span["name"] == "stage"
                && span["parentSpanId"] == root[0]["spanId"]
                && span["traceId"] == root[0]["traceId"]
        })
        .map(|span| attribute(span, "stage").unwrap())
        .collect();
    assert_eq!(stages, BTreeSet::from(["deliver", "plan", "publish"]));
    assert_eq!(spans.len(), 4, "neither parcels nor what libraries do: {spans:?}");
    let all = requests.iter().map(|request| request.body.to_string()).collect::<String>();
    assert!(!all.contains(KEY) && !all.contains(SECRET) && !all.contains("ws_1"), "{all}");
}

/// A collector that is gone, and one that never answers, cost a run nothing but the wait at its end.
#[test]
fn a_run_needs_no_collector() {
    let destination = Destination::start();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for address in [gone, silent.local_addr().unwrap()] {
        let home = home(&destination, &format!("http://{address}"));
        let began = std::time::Instant::now();
        assert_eq!(home.job("orgs", 0)["acknowledged"], 2);
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "{:?}", began.elapsed());
    }
    let home = home(&destination, "https://collector");
    crate::support::says(&home.run(&["runs"]).expect(2), &["telemetry.otlp", "without TLS"]);
}
