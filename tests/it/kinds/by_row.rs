//! Addresses and headers that differ by row: a value stays in its place, and asks for nothing.

use super::{QUICK, Site, yes};
use crate::delivery::server::{Seen, body, status};
use crate::support::{KEY, SECRET, ran};
use serde_json::json;
use std::net::SocketAddr;

fn rest(at: SocketAddr, more: &str) -> String {
    format!(
        "[diff]\nkey = \"id\"\non = [\"added\", \"removed\"]\n[guard]\nmax_removed = {{ floor = 9 }}\n\
         [destination]\nkind = \"http\"\nurl = \"http://{at}/in/${{TEST_KEY}}/orgs/{{{{row.id}}}}?name={{{{row.name}}}}&s=${{TEST_SECRET}}\"\n\
         method = \"PUT\"\n{QUICK}{more}\n\
         [destination.removed]\nmethod = \"DELETE\"\nurl = \"http://{at}/gone/{{{{row.id}}}}\"\n[payload]\npreset = \"flat\"\n"
    )
}

fn lines(seen: &[Seen]) -> Vec<String> {
    seen.iter().map(|request| request.line.clone()).collect()
}

#[test]
fn an_address_has_the_rows_values_percent_encoded() {
    let site = Site::new(|at| rest(at, ""), yes);
    site.home.write("orgs.csv", "id,name\na/b?c#d,É & co\n${TEST_SECRET},x=1\n");
    assert_eq!(site.run(0)["acknowledged"], json!(2));
    let [path, query] = [format!("/in/{KEY}/orgs/"), format!("&s={SECRET}")];
    assert_eq!(
        lines(&site.seen()),
        [
            format!("PUT {path}a%2Fb%3Fc%23d?name=%C3%89%20%26%20co{query} HTTP/1.1"),
            // A row cannot ask for a secret.
            format!("PUT {path}%24%7BTEST_SECRET%7D?name=x%3D1{query} HTTP/1.1"),
        ]
    );
    site.home.write("orgs.csv", "id,name\n${TEST_SECRET},x=1\n");
    assert_eq!(site.run(0)["acknowledged"], json!(1));
    let seen = site.seen();
    assert_eq!(lines(&seen), ["DELETE /gone/a%2Fb%3Fc%23d HTTP/1.1"]);
    assert_eq!(seen[0].body, "");
}

#[test]
fn a_row_without_a_place_in_the_address_never_leaves() {
    let site = Site::new(|at| rest(at, "").replace("orgs/{{row.id}}", "orgs/{{row.name}}"), yes);
    site.home.write("orgs.csv", "id,name\na,one\nb,\nc,..\n");
    let report = site.run(1);
    assert_eq!((&report["acknowledged"], &report["undelivered"]), (&json!(1), &json!(2)), "{report}");
    let detail = report["failures"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("destination.url, column "), "{detail}");
    assert_eq!(site.seen().len(), 1);
    assert_eq!(site.home.run(&["preview", "orgs", "--json"]).code, 1, "and a preview says so");
}

#[test]
fn a_header_has_the_rows_values_and_no_more_lines() {
    let headers = "headers = { X-Org = \"{{row.name}} of ${TEST_SECRET}\", X-Same = \"as it is\" }";
    let site = Site::new(|at| rest(at, headers), yes);
    site.home.write("orgs.csv", "id,name\na,${TEST_KEY}\nb,\"two\r\nX-Evil: yes\"\n");
    let report = site.run(1);
    assert_eq!((&report["acknowledged"], &report["undelivered"]), (&json!(1), &json!(1)), "{report}");
    let seen = site.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].headers["x-org"], format!("${{TEST_KEY}} of {SECRET}"));
    assert_eq!(seen[0].headers["x-same"], "as it is");
}

#[test]
fn a_column_that_is_not_there_is_told_with_its_place() {
    let site =
        Site::new(|at| rest(at, "headers = { X-Org = \"{{row.nam}}\" }").replace("row.id}}\"", "row.idd}}\""), yes);
    site.home.write("orgs.csv", "id,name\na,one\n");
    let ran = site.home.run(&["check", "orgs"]).expect(2);
    for problem in ["destination.removed.url, column ", "destination.headers.X-Org, column ", "did you mean `name`?"] {
        assert!(ran.stdout.contains(problem), "{problem}: {}", ran.stdout);
    }
    assert_eq!(ran.stdout.matches("did you mean").count(), 2, "{}", ran.stdout);
}

#[test]
fn an_address_of_a_row_is_never_shown() {
    let site = Site::new(
        |at| rest(at, ""),
        |seen: &Seen| if seen.line.contains("/a?") { body(422, &seen.line) } else { status(404) },
    );
    site.home.write("orgs.csv", "id,name\na,one\nb,two\n");
    let mut command = site.home.command(&["run", "orgs"]);
    let ran = ran(command.env("NIGHTMARK_LOG", "trace").output().unwrap()).expect(1);
    assert!(ran.stdout.contains("PUT /in/[redacted]/orgs/a?name=one&s=[redacted]"), "{}", ran.stdout);
    for shown in [&ran.stdout, &ran.stderr] {
        assert!(!shown.contains(KEY) && !shown.contains(SECRET), "{shown}");
    }
}

/// What `check` has seen of one operation says nothing of the others.
#[test]
fn each_operation_is_tried_before_the_first_night() {
    let job = |at: SocketAddr, own: &str| {
        format!(
            "[diff]\nkey = \"id\"\nignore = [\"region\"]\non = [\"added\", \"changed\", \"removed\"]\n[destination]\nkind = \"http\"\n\
             url = \"http://{at}/in\"\n{QUICK}\n{own}"
        )
    };
    for (own, told) in [
        (
            "[destination.removed]\nmethod = \"DELETE\"\nurl = \"http://h.example/{{row.region}}/{{row.id}}\"\n[payload]\npreset = \"flat\"\n",
            "the first row, if it were gone",
        ),
        (
            "[payload]\npreset = \"flat\"\nconforms_to = { product_org_id = \"id\" }\n[payload.changed]\ntemplate = '{\"org\": {{row.id}}}'\n\
             [payload.removed]\ntemplate = '{\"id\": {{row.id}}}'\n",
            "the first row, if it had changed",
        ),
    ] {
        let site = Site::new(|at| job(at, own), yes);
        site.home.write("orgs.csv", "id,plan,region\n1,pro,eu\n");
        let said = site.home.run(&["check", "orgs"]).expect(2);
        assert!(format!("{}{}", said.stdout, said.stderr).contains(told), "{told}\n{}{}", said.stdout, said.stderr);
    }
}

/// `jobs/webhook.toml` as it is, but for host, token and extract.
#[test]
fn the_example_job_has_a_request_of_its_own_for_each_operation() {
    let text = include_str!("../../../jobs/webhook.toml");
    let tables = &text[text.find("[diff]").unwrap()..];
    let host = "https://hooks.example.com";
    assert_eq!(tables.matches(host).count(), 3);
    let job = |at: SocketAddr| tables.replace(host, &format!("http://{at}")).replace("${WEBHOOK_TOKEN}", "${TEST_KEY}");
    let site = Site::new(job, yes);
    let head = "workspace_id,workspace_name,plan_id,plan_name,user_count,mrr,trial_status";
    site.home.write("orgs.csv", &format!("{head}\na 1,A,free,Free,1,0,active\nb/2,B,pro,Pro,2,10,\n"));
    assert_eq!(site.run(0)["acknowledged"], json!(2));
    let first = site.seen();
    assert_eq!(lines(&first), ["POST /orgs HTTP/1.1", "POST /orgs HTTP/1.1"]);
    assert_eq!(first[0].headers["authorization"], format!("Bearer {KEY}"));
    site.home.write("orgs.csv", &format!("{head}\na 1,A,pro,Pro,1,0,active\n"));
    assert_eq!(site.run(0)["acknowledged"], json!(2));
    let mut second = lines(&site.seen());
    second.sort();
    assert_eq!(second, ["DELETE /orgs/b%2F2 HTTP/1.1", "PATCH /orgs/a%201 HTTP/1.1"]);
}
