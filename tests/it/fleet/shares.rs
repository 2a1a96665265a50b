//! A large delivery is shared by the daemons of a fleet, whatever becomes of one of them.

use super::named;
use super::turns::{leader, member, serve, serve_until, until};
use crate::crash::marks;
use crate::shared::{Site, extract};
use crate::support::{Home, Served, job_file, signal};
use std::collections::BTreeMap;
use std::process::Command;

const ORGS: usize = 1500;

/// A machine of the fleet whose job is run by hand, at 200 requests a second in all, and shared from 100 rows on.
fn helper(site: &Site) -> Home {
    let home = member(site, None);
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
    until("all of them are there", || {
        let members = "SELECT count(*) FROM nightmark.leases WHERE name LIKE 'daemon/%' AND until > now()";
        (named(&site, members) == "3").then_some(())
    });

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
        let helps = serve_until(&homes[1], &format!("{step}=return"));
        until("both are there", || {
            let members = "SELECT count(*) FROM nightmark.leases WHERE name LIKE 'daemon/%' AND until > now()";
            (named(&site, members) == "2").then_some(())
        });
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
    until("all of them are there", || {
        let members = "SELECT count(*) FROM nightmark.leases WHERE name LIKE 'daemon/%' AND until > now()";
        (named(&site, members) == "3").then_some(())
    });
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
