//! A large delivery is shared by the daemons of a fleet, whatever becomes of one of them.

use super::named;
use super::turns::{leader, member, serve, serve_with, until};
use crate::crash::marks;
use crate::shared::{Site, extract};
use crate::support::line::Line;
use crate::support::{Home, Served, job_file, signal};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

const ORGS: usize = 1500;

/// A machine of the fleet whose job is run by hand, at 200 requests a second in all, and shared from 100 rows on.
fn helper(site: &Site) -> Home {
    helper_by(site, None)
}

/// The same, which has a line of its own to the database.
fn helper_by(site: &Site, line: Option<&Line>) -> Home {
    let home = member(site, line);
    let settings = std::fs::read_to_string(home.path("nightmark.toml")).unwrap();
    home.write("nightmark.toml", &settings.replace("[fleet]\n", "[fleet]\nshare_from = 100\nchunk_rows = 50\n"));
    let to = format!("url = \"http://{}/\"\nrate = \"200/s\"\nconcurrency = 6", site.destination.address);
    // All of them change in a night.
    let rest = "preset = \"flat\"\n[guard]\nmax_changed = { share = 1.0, floor = 1000 }";
    home.write("jobs/orgs.toml", &job_file("", &to, rest));
    home
}

fn all(homes: &[&Home], plan: &str) {
    let orgs: Vec<String> = (0..ORGS).map(|org| format!("ws_{org:04}")).collect();
    extract(homes, &orgs.iter().map(|org| (org.as_str(), plan)).collect::<Vec<_>>());
}

fn order(served: &Served) {
    let address = format!("http://{}/api/v1/jobs/orgs/run", served.admin);
    let status = Command::new("curl").args(["-s", "-f", "-o", "/dev/null", "-X", "POST", &address]).status().unwrap();
    assert!(status.success());
}

/// So many runs of this state are there.
fn runs(site: &Site, state: &str) -> usize {
    named(site, &format!("SELECT count(*) FROM nightmark.runs WHERE state = '{state}'")).parse().unwrap()
}

/// Waits until so many daemons can help.
#[track_caller]
fn are_there(site: &Site, daemons: usize) {
    until("all of them are there", || {
        let members = "SELECT count(*) FROM nightmark.leases WHERE name LIKE 'daemon/%' AND until > now()";
        (named(site, members) == daemons.to_string()).then_some(())
    });
}

/// How often each org has arrived, and what it has by now.
fn arrived(site: &Site) -> BTreeMap<String, (usize, String)> {
    let mut known: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for seen in site.destination.take() {
        let org = known.entry(seen.org().to_owned()).or_default();
        (org.0, org.1) = (org.0 + 1, seen.body["plan_id"].as_str().unwrap().to_owned());
    }
    known
}

/// The chunks that are whose, by the machines' places.
fn places_with_chunks(site: &Site) -> usize {
    named(site, "SELECT count(DISTINCT place) FROM nightmark.share_chunks WHERE done").parse().unwrap()
}

#[test]
fn a_delivery_is_shared_and_each_org_is_sent_once() {
    let site = Site::new();
    let homes = [helper(&site), helper(&site), helper(&site)];
    let all_homes: Vec<&Home> = homes.iter().collect();
    let daemons: Vec<Served> = homes.iter().map(serve).collect();
    let served: Vec<&Served> = daemons.iter().collect();
    let leads = leader(&served);
    are_there(&site, 3);

    all(&all_homes, "free");
    order(served[leads]);
    until("the night is done", || (runs(&site, "finished") == 1).then_some(()));
    let known = arrived(&site);
    assert_eq!(known.len(), ORGS);
    assert!(known.values().all(|(times, plan)| (*times, plan.as_str()) == (1, "free")), "each was sent once");
    assert_eq!(places_with_chunks(&site), 3);

    // One that helps is killed in its midst, another stands still.
    let helpers: Vec<usize> = (0..3).filter(|at| *at != leads).collect();
    all(&all_homes, "pro");
    order(served[leads]);
    until("both help", || {
        let held = "SELECT count(DISTINCT place) FROM nightmark.share_chunks JOIN nightmark.runs ON id = run_id
                    WHERE state = 'delivering' AND (place LIKE '%/1' OR place LIKE '%/2')";
        (named(&site, held) == "2" && runs(&site, "delivering") == 1).then_some(())
    });
    signal(served[helpers[0]].pid(), "KILL");
    signal(served[helpers[1]].pid(), "STOP");
    until("the night is done", || (runs(&site, "finished") == 2).then_some(()));
    let known = arrived(&site);
    assert_eq!(known.len(), ORGS);
    assert!(known.values().all(|(_, plan)| plan == "pro"));
    let twice = known.values().filter(|(times, _)| *times > 1).count();
    assert!(twice <= 100, "{twice}: only what may have been in flight is sent again");

    // What stood still sends nothing more of it when it goes on, though a later night is through.
    all(&all_homes, "free");
    order(served[leads]);
    until("the night is done", || (runs(&site, "finished") == 3).then_some(()));
    assert!(arrived(&site).values().all(|(_, plan)| plan == "free"));
    signal(served[helpers[1]].pid(), "CONT");
    until("it has left", || homes[helpers[1]].log().contains("help_ended").then_some(()));
    assert!(arrived(&site).is_empty());
    // Nothing is left of its places.
    assert_eq!(named(&site, "SELECT count(*) FROM nightmark.leases WHERE name LIKE 'share/%'"), "0");
    daemons.into_iter().enumerate().for_each(|(at, daemon)| {
        if at != helpers[0] {
            assert_eq!(daemon.stop(), 0);
        }
    });
}

/// With a chunk just taken, or sent and not yet said to be done.
#[test]
fn whoever_helps_is_killed_at_each_step_and_the_rest_is_sent() {
    let steps: Vec<String> = marks().into_iter().filter(|mark| mark.starts_with("share.")).collect();
    assert_eq!(steps, ["share.sent", "share.taken"]);
    for step in steps {
        let site = Site::new();
        let homes = [helper(&site), helper(&site)];
        let leads = serve(&homes[0]);
        leader(&[&leads]);
        let helps = serve_with(&homes[1], &[("FAILPOINTS", &format!("{step}=return"))]);
        are_there(&site, 2);
        all(&[&homes[0], &homes[1]], "free");
        order(&leads);
        // Not before it has helped.
        assert_ne!(helps.wait(), 0, "{step}");
        until("the night is done", || (runs(&site, "finished") == 1).then_some(()));
        let known = arrived(&site);
        assert_eq!(known.len(), ORGS, "{step}");
        let twice = known.values().filter(|(times, _)| *times > 1).count();
        assert!(twice <= 50, "{step}: {twice}: only a chunk may have been in flight");
        assert_eq!(leads.stop(), 0);
    }
}

#[test]
fn whoever_offers_is_killed_and_the_rest_is_sent() {
    let site = Site::new();
    let homes = [helper(&site), helper(&site), helper(&site)];
    let all_homes: Vec<&Home> = homes.iter().collect();
    let mut daemons: Vec<Option<Served>> = homes.iter().map(|home| Some(serve(home))).collect();
    let leads = leader(&daemons.iter().flatten().collect::<Vec<_>>());
    are_there(&site, 3);
    all(&all_homes, "free");
    order(daemons[leads].as_ref().unwrap());
    until("others help", || (places_with_chunks(&site) == 3).then_some(()));
    signal(daemons[leads].as_ref().unwrap().pid(), "KILL");
    daemons[leads].take().unwrap().wait();
    // The fire is begun anew by whoever schedules then; what was acknowledged is not sent again.
    until("the night is done", || (runs(&site, "finished") >= 1).then_some(()));
    let known = arrived(&site);
    assert_eq!(known.len(), ORGS);
    let twice = known.values().filter(|(times, _)| *times > 1).count();
    assert!(twice <= 150, "{twice}");
    for daemon in daemons.into_iter().flatten() {
        assert_eq!(daemon.stop(), 0);
    }
}

/// The chunks whose requests a daemon has logged. Each line of one says the chunk, and so which rows it may be about.
fn logged(home: &Home) -> BTreeSet<u64> {
    let log = home.log();
    let lines =
        log.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut chunks = BTreeSet::new();
    for line in lines.filter(|line| matches!(line["fields"]["event"].as_str(), Some("attempted" | "chunk_taken"))) {
        let spans: Vec<&str> =
            line["spans"].as_array().unwrap().iter().map(|span| span["name"].as_str().unwrap()).collect();
        assert_eq!(spans[..3], ["run", "stage", "chunk"], "{line}");
        assert_eq!(
            (&line["spans"][0]["job"], &line["spans"][1]["stage"]),
            (&"orgs".into(), &"deliver".into()),
            "{line}"
        );
        let chunk = line["spans"][2]["chunk"].as_u64().unwrap();
        match line["fields"]["event"].as_str() {
            Some("chunk_taken") => assert_eq!(line["fields"]["chunk"], chunk, "{line}"),
            _ => assert_eq!((spans[3], line["spans"][3]["seq"].as_u64().unwrap() / 50), ("parcel", chunk), "{line}"),
        }
        chunks.insert(chunk);
    }
    chunks
}

#[test]
fn each_line_about_a_chunk_says_which_whoever_sends_it() {
    let site = Site::new();
    let homes = [helper(&site), helper(&site)];
    let of_all = [("NIGHTMARK_LOG", "nightmark=debug"), ("NIGHTMARK_LOG_FORMAT", "json")];
    let daemons = [serve_with(&homes[0], &of_all), serve_with(&homes[1], &of_all)];
    let leads = leader(&[&daemons[0], &daemons[1]]);
    are_there(&site, 2);
    all(&[&homes[0], &homes[1]], "free");
    order(&daemons[leads]);
    until("the night is done", || (runs(&site, "finished") == 1).then_some(()));
    assert_eq!(arrived(&site).len(), ORGS);
    for daemon in daemons {
        assert_eq!(daemon.stop(), 0);
    }
    let [one, other] = [logged(&homes[0]), logged(&homes[1])];
    assert!(!one.is_empty() && !other.is_empty(), "{one:?} {other:?}");
    assert_eq!(one.union(&other).count(), ORGS / 50);
}

#[test]
fn whoever_helps_and_is_cut_off_from_the_database_stops_by_itself_and_the_rest_is_sent() {
    let site = Site::new();
    let line = Line::to(site.database.port);
    let homes = [helper(&site), helper_by(&site, Some(&line))];
    let leads = serve(&homes[0]);
    assert_eq!(leader(&[&leads]), 0);
    let helps = serve(&homes[1]);
    are_there(&site, 2);
    all(&[&homes[0], &homes[1]], "free");
    order(&leads);
    until("it helps", || {
        let held = "SELECT count(*) FROM nightmark.share_chunks WHERE place LIKE '%/1'";
        (named(&site, held) != "0").then_some(())
    });
    line.cut();
    until("the night is done", || (runs(&site, "finished") == 1).then_some(()));
    let known = arrived(&site);
    assert_eq!(known.len(), ORGS);
    let twice = known.values().filter(|(times, _)| *times > 1).count();
    assert!(twice <= 50, "{twice}: only a chunk may have been in flight");

    // A later night is through when it hears of the database again: nothing of the first leaves any more, nor is written.
    all(&[&homes[0], &homes[1]], "pro");
    order(&leads);
    until("the night is done", || (runs(&site, "finished") == 2).then_some(()));
    let known = arrived(&site);
    assert!(known.len() == ORGS && known.values().all(|(_, plan)| plan == "pro"));
    let written =
        || named(&site, "SELECT string_agg(progress::text, ' ' ORDER BY run_id, chunk) FROM nightmark.progress");
    let before = written();
    assert!(!before.is_empty());
    line.mend();
    until("it has left", || homes[1].log().contains("help_ended").then_some(()));
    // It is one of them again.
    are_there(&site, 2);
    assert_eq!((arrived(&site).len(), written()), (0, before));
    assert_eq!((helps.stop(), leads.stop()), (0, 0));
}
