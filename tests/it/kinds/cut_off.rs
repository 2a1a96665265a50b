//! A process that is killed while batches are under way. What is recorded as acknowledged is never sent again; everything else
//! is, under the same ids.

use super::batches::all_orgs;
use super::{Site, ids};
use crate::crash::recorded;
use crate::delivery::server::{Reply, Seen, status};
use nightmark::receipt::Outcome;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const ROWS: usize = 80;

fn job(at: SocketAddr) -> String {
    format!(
        "[diff]\nkey = \"id\"\n[destination]\nkind = \"http\"\nurl = \"http://{at}/hook\"\nbatch = {{ rows = 4 }}\n\
         concurrency = 2\n[payload]\ntemplate = '{{\"id\": {{{{row.id}}}}, \"message\": {{{{message_id}}}}}}'\n"
    )
}

/// The message id of each org in these requests.
fn messages(seen: &[Seen]) -> BTreeMap<String, String> {
    let rows =
        seen.iter().flat_map(|request| serde_json::from_str::<Vec<BTreeMap<String, String>>>(&request.body).unwrap());
    rows.map(|row| (row["id"].clone(), row["message"].clone())).collect()
}

/// What the next night sends is what has no receipt, with the ids that it had.
fn check_next_night(site: &Site, before: &[Seen], taken: &[String]) {
    let recorded = recorded(&site.home.path(""), "orgs");
    let acknowledged = |id: &String| recorded.get(id) == Some(&Outcome::Acknowledged);
    let first = messages(before);
    let done: Vec<String> = first.iter().filter(|(_, id)| acknowledged(id)).map(|(org, _)| org.clone()).collect();
    assert!(done.iter().all(|org| taken.contains(org)), "recorded and not taken: {done:?} {taken:?}");
    site.run(0);
    let after = site.seen();
    let expected: Vec<String> = ids(ROWS).into_iter().filter(|org| !done.contains(org)).collect();
    assert_eq!(all_orgs(&after), expected, "exactly what is not acknowledged, each org once");
    for (org, id) in messages(&after) {
        assert!(first.get(&org).is_none_or(|before| *before == id), "{org}");
    }
    site.run(0);
    assert!(site.seen().is_empty(), "and then nothing is left");
}

#[test]
fn a_kill_while_a_batch_is_at_the_destination() {
    for fatal in [0, 1, 3, 6] {
        let (count, hung) = (AtomicUsize::new(0), Arc::new(Mutex::new(String::new())));
        let (noted, arrived) = (Arc::clone(&hung), Arc::new(tokio::sync::Notify::new()));
        let arrival = Arc::clone(&arrived);
        let site = Site::new(job, move |seen| {
            if count.fetch_add(1, Ordering::SeqCst) == fatal {
                seen.id().clone_into(&mut noted.lock().unwrap());
                arrival.notify_one();
                return Reply::Hang;
            }
            status(200)
        });
        site.orgs(&ids(ROWS));
        let command = &mut site.home.command(&["run", "orgs", "--json"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        site.block_on(arrived.notified());
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        let before = site.seen_of_the_dead(1);
        let hung = hung.lock().unwrap().clone();
        let taken: Vec<Seen> = before.iter().filter(|request| request.id() != hung).cloned().collect();
        assert_eq!(taken.len() + 1, before.len());
        check_next_night(&site, &before, &all_orgs(&taken));
    }
}

#[test]
fn a_kill_at_every_mark_around_a_batch() {
    for mark in ["ledger.before_commit", "ledger.committed", "request.before", "request.answered"] {
        for nth in [0, 2, 5] {
            let site = Site::new(job, |_| status(200));
            site.orgs(&ids(ROWS));
            // A write for each answer, and not as many answers as come within 100 ms: there are enough of them whatever the machine.
            std::fs::write(site.home.path("nightmark.toml"), "[delivery]\nreceipt_rows = 4\n").unwrap();
            let mut command = site.home.command(&["run", "orgs", "--json"]);
            command.env("FAILPOINTS", format!("{mark}={nth}*off->return"));
            let ended = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
            assert_eq!(ended.signal(), Some(9), "{mark} {nth}");
            let before = site.seen_of_the_dead(0);
            check_next_night(&site, &before, &all_orgs(&before));
        }
    }
}
