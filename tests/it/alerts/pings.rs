//! The daemon's own runs: what fails is told right after it, and a watchdog elsewhere is called after what went through.

use super::{gives_nothing_away, home, hook, job, rows, subjects, told};
use crate::metrics::{metrics, value, wait_for};
use crate::support::{Destination, Home, Served};

const PING: &str = "planted-ping-77aa";

/// A job each second.
fn orgs(home: &Home, destination: &Destination) {
    job(home, "orgs", destination, "", "[alerts]\nping_url = \"${PING_URL}\"");
    let file = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    home.write("jobs/orgs.toml", &file.replacen("version = 1\n", "version = 1\nschedule = \"* * * * * *\"\n", 1));
}

#[test]
fn a_watchdog_is_called_after_each_run_that_went_through_and_after_no_other() {
    let (destination, chat, watchdog) = (Destination::start(), Destination::start(), Destination::start());
    let home = home();
    orgs(&home, &destination);
    let ping = format!("http://{}/{PING}", watchdog.address);
    let served = Served::start_with(&home, &[("HOOK_URL", &hook(&chat)), ("PING_URL", &ping)]);
    // There is no extract yet.
    assert_eq!(subjects(&told(&chat, 1)), ["orgs: the run FAILED"]);
    assert!(watchdog.take().is_empty());
    rows(&home, "orgs", 1, "free");
    assert_eq!(subjects(&told(&chat, 1)), ["orgs: right again (the run FAILED)"]);
    watchdog.wait_for(2);
    assert_eq!(watchdog.take()[0].path, format!("/{PING}"));
    // A watchdog that is out of order is no trouble for the runs.
    watchdog.set("", 500);
    let text = wait_for(&served, "nightmark_pings_total{job_name=\"orgs\",result=\"failed\"}", 1.0);
    assert!(value(&text, "nightmark_pings_total{job_name=\"orgs\",result=\"sent\"}") >= Some(2.0), "{text}");
    assert!(watchdog.take().len() >= 3, "it is tried more than once");
    let done = value(&text, "nightmark_fires_total{job_name=\"orgs\",state=\"done\"}").unwrap();
    wait_for(&served, "nightmark_fires_total{job_name=\"orgs\",state=\"done\"}", done + 1.0);
    assert!(!metrics(&served).contains(PING));
    assert_eq!(served.stop(), 0);
    let log = home.log();
    gives_nothing_away(&log);
    assert!(log.contains("ping_failed") && log.contains("HTTP 500") && !log.contains(PING), "{log}");
}
