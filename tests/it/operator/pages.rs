//! The pages of the operator's address, as a browser asks for them.

use super::{bearer, held_home, token};
use crate::support::{Destination, Home, Served};
use base64::Engine as _;
use serde_json::{Value, json};

const NASTY: &str = "<script>alert('1')</script>\"><img src=x>";

fn basic(token: &str) -> String {
    format!("authorization: Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("anybody:{token}")))
}

/// A page and its head.
#[track_caller]
fn page(served: &Served, path: &str, headers: &[&str]) -> (String, String) {
    let (status, head, body) = served.request("GET", path, headers, b"");
    assert_eq!(status, 200, "{path}: {head}\n{body}");
    (head.to_ascii_lowercase(), body)
}

/// A form that is sent.
fn send(served: &Served, path: &str, headers: &[&str], fields: &str) -> (u16, String, String) {
    let form = ["content-type: application/x-www-form-urlencoded"];
    served.request("POST", path, &[&form[..], headers].concat(), fields.as_bytes())
}

fn has(page: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(page.contains(part), "no {part:?} in {page}"));
}

fn state(home: &Home, run: &str) -> Value {
    home.run(&["runs", "show", run, "--json"]).expect(0).json()["state"].clone()
}

#[test]
fn the_pages_show_jobs_and_what_is_held() {
    let destination = Destination::start();
    let (home, run) = held_home(&destination, "pro");
    home.write("jobs/broken.toml", "version = 1\nnonsense = 1\n");
    let served = Served::start(&home);
    let (head, jobs) = page(&served, "/", &[]);
    for header in [
        "content-type: text/html; charset=utf-8",
        "content-security-policy: default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        "x-content-type-options: nosniff",
        "x-frame-options: deny",
        "referrer-policy: same-origin",
        "cache-control: no-store",
    ] {
        assert!(head.contains(header), "no {header} in {head}");
    }
    assert!(!head.contains("set-cookie"), "{head}");
    // By the clock of New York, which at this time of the year is five hours behind, and in UTC.
    has(&jobs, &["orgs", "30 2 1 1 * (America/New_York)", "-01-01 02:30:00-05:00", "-01-01 07:30:00Z"]);
    has(&jobs, &["broken", "faulty", "href=\"/jobs/orgs#held\">decide"]);
    let (_, job) = page(&served, "/jobs/orgs", &[]);
    has(
        &job,
        &[
            "A run is held: nothing was sent",
            "max_changed",
            &run,
            "ws_1",
            "<bdi>free</bdi></del>",
            "<bdi>pro</bdi></ins>",
        ],
    );
    has(
        &job,
        &[
            "action=\"/jobs/orgs/approve\"",
            "action=\"/jobs/orgs/discard\"",
            "Changes <bdi>1–1 of 1</bdi>",
            "Next fires",
        ],
    );
    has(&page(&served, "/jobs/broken", &[]).1, &["has mistakes", "nonsense"]);
    // Nothing from elsewhere, nothing that runs.
    for shown in [&jobs, &job] {
        let links =
            shown.match_indices("href=").chain(shown.match_indices("src=")).chain(shown.match_indices("action="));
        for (at, word) in links {
            assert!(shown[at + word.len()..].starts_with("\"/"), "{}", &shown[at..]);
        }
        assert!(!shown.contains("<script") && !shown.contains("javascript:"), "{shown}");
    }
    let (head, style) = page(&served, "/style.css", &[]);
    assert!(head.contains("content-type: text/css") && !style.contains("http") && !style.contains("url("), "{head}");
    assert_eq!(served.request("GET", "/jobs/gone", &[], b"").0, 404);
    assert_eq!(served.request("GET", "/jobs/orgs/approve", &[], b"").0, 405);
    assert_eq!(served.request("GET", "/", &["host: evil.example"], b"").0, 403);
    assert_eq!(served.stop(), 0);
}

#[test]
fn what_is_shown_is_text_whatever_is_in_it() {
    let destination = Destination::start();
    let (home, _) = held_home(&destination, "pro");
    // What the source says is shown as it is.
    home.write("orgs.csv", &format!("workspace_id,plan_id\nws_1,\"{}\"\nws_2,free\n", NASTY.replace('"', "\"\"")));
    home.job("orgs", 3);
    let served = Served::start(&home);
    let (_, job) = page(&served, "/jobs/orgs", &[]);
    has(&job, &["&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;&gt;&lt;img src=x&gt;"]);
    assert!(!job.contains("<script") && !job.contains("<img"), "{job}");
    // So is what the request says.
    let path = "/jobs/%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    let (status, _, body) = served.request("GET", path, &[], b"");
    assert!(status == 404 && !body.contains("<script"), "{body}");
    let (status, head, body) = send(&served, "/jobs/orgs/discard", &[], &format!("run={}", "%3Cscript%3E"));
    assert!(status == 409 && !body.contains("<script") && body.contains("&lt;script&gt;"), "{head}{body}");
    assert!(head.to_ascii_lowercase().contains("content-security-policy: default-src 'none'"), "{head}");
    assert_eq!(served.stop(), 0);
}

#[test]
fn a_held_run_is_decided_on_by_a_page() {
    let destination = Destination::start();
    let (home, first) = held_home(&destination, "pro");
    let (operator, _) = token(&home, "operator");
    let (viewer, _) = token(&home, "viewer");
    let served = Served::start(&home);
    // A browser is asked for the token, and gives it from then on by itself.
    let (status, head, _) = served.request("GET", "/jobs/orgs", &[], b"");
    assert!(status == 401 && head.to_ascii_lowercase().contains("www-authenticate: basic realm="), "{head}");
    let (as_operator, as_viewer) = (basic(&operator), basic(&viewer));
    has(&page(&served, "/jobs/orgs", &[&as_operator]).1, &["Approve: send exactly this", "the operator"]);
    let shown = page(&served, "/jobs/orgs", &[&as_viewer]).1;
    assert!(shown.contains("A run is held") && !shown.contains("<form"), "{shown}");
    let own = format!("origin: http://{}", served.admin);
    let fields = format!("run={first}");
    // So what changes something has to come from a page of this address.
    for foreign in [
        &[&as_operator[..]][..],
        &[&as_operator, "origin: https://evil.example"],
        &[&as_operator, "origin: null"],
        &[&as_operator, &own, "sec-fetch-site: cross-site"],
        &[&as_operator, &own, "sec-fetch-site: same-site"],
        &[&as_viewer, &own],
    ] {
        for way in ["approve", "discard", "run"] {
            assert_eq!(send(&served, &format!("/jobs/orgs/{way}"), foreign, &fields).0, 403, "{way} {foreign:?}");
        }
    }
    assert_eq!(state(&home, &first), json!("held"));
    let good = [&as_operator[..], &own, "sec-fetch-site: same-origin"];
    assert_eq!(send(&served, "/jobs/orgs/approve", &good, "").0, 400);
    assert_eq!(send(&served, "/jobs/orgs/approve", &good, "run=01KB2M4Z6R8T0V2X4Y6A8C0E2G").0, 409);
    let (status, head, _) = send(&served, "/jobs/orgs/discard", &good, &fields);
    assert!(status == 303 && head.to_ascii_lowercase().contains("location: /jobs/orgs"), "{head}");
    assert_eq!(state(&home, &first), json!("discarded"));
    let second = home.job("orgs", 3)["run"].as_str().unwrap().to_owned();
    assert_eq!(send(&served, "/jobs/orgs/approve", &good, &format!("run={second}")).0, 303);
    destination.wait_for(1);
    assert_eq!(destination.take_orgs(), ["ws_1"]);
    let reason = home.run(&["runs", "show", &second]).expect(0).stdout;
    assert!(reason.contains("approved by the operator (page); it was held: "), "{reason}");
    assert_eq!(send(&served, "/jobs/orgs/run", &good, "").0, 303);
    assert_eq!(served.stop(), 0);
    let entries = home.run(&["audit", "--json"]).expect(0).json();
    let by_page: Vec<Value> = entries
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["via"] == "page")
        .map(|entry| json!([entry["action"], entry["who"], entry["outcome"], entry["detail"]]))
        .collect();
    assert_eq!(by_page.len(), 5, "{by_page:?}");
    assert_eq!(by_page[0], json!(["run", "the operator", "done", null]));
    assert_eq!(by_page[1], json!(["approve", "the operator", "done", format!("run {second}")]));
    assert_eq!(by_page[4][2], json!("refused"));
}

#[test]
fn a_page_without_a_token_takes_forms_of_its_own_alone() {
    let destination = Destination::start();
    let (home, run) = held_home(&destination, "pro");
    let served = Served::start(&home);
    let own = format!("origin: http://{}", served.admin);
    let fields = format!("run={run}");
    assert_eq!(send(&served, "/jobs/orgs/discard", &["origin: http://evil.example"], &fields).0, 403);
    assert_eq!(send(&served, "/jobs/orgs/discard", &[&own, "sec-fetch-site: cross-site"], &fields).0, 403);
    assert_eq!(send(&served, "/jobs/orgs/discard", &["host: evil.example"], &fields).0, 403);
    assert_eq!(state(&home, &run), json!("held"));
    assert_eq!(send(&served, "/jobs/orgs/discard", &[&own, "sec-fetch-site: same-origin"], &fields).0, 303);
    assert_eq!(state(&home, &run), json!("discarded"));
    // A page that came before a token was made.
    let (viewer, _) = token(&home, "viewer");
    assert_eq!(send(&served, "/jobs/orgs/run", &[&own], "").0, 401);
    assert_eq!(served.request("GET", "/jobs/orgs", &[&bearer(&viewer)], b"").0, 200);
    assert_eq!(served.stop(), 0);
}
