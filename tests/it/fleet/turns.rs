//! Three daemons of one fleet: one schedules at a time, whatever becomes of it.

use super::{machine, named};
use crate::shared::{PASSWORD_OF_S3, Site, extract, run_with};
use crate::support::line::Line;
use crate::support::postgres::PASSWORD;
use crate::support::{Home, Served, job_file, says, signal};
use serde_json::Value;
use std::process::Command;
use std::time::{Duration, Instant};

/// A machine of the fleet whose job fires each second.
pub fn member(site: &Site, line: Option<&Line>) -> Home {
    let home = machine(site, line);
    let settings = std::fs::read_to_string(home.path("nightmark.toml")).unwrap();
    // Not so short that a busy machine looks like one that is gone.
    let settings = settings.replacen("lease = \"2s\"", "lease = \"4s\"", 1);
    home.write("nightmark.toml", &format!("{settings}\n[fleet]\nname = \"nightly\"\n"));
    let to = format!("url = \"http://{}/\"", site.destination.address);
    let job = job_file("", &to, "preset = \"flat\"");
    home.write("jobs/orgs.toml", &job.replacen("version = 1\n", "version = 1\nschedule = \"* * * * * *\"\n", 1));
    home
}

pub fn serve(home: &Home) -> Served {
    serve_with(home, &[("NIGHTMARK_LOG", "nightmark=info")])
}

/// With variables of the environment besides.
pub fn serve_with(home: &Home, variables: &[(&str, &str)]) -> Served {
    let secrets = [("PG_PASSWORD", PASSWORD), ("S3_SECRET", PASSWORD_OF_S3)];
    Served::start_with(home, &[&secrets, variables].concat())
}

/// Until something is so. The bound is there only so that a broken build ends.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(90), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Of these daemons, the places of those that say that they schedule. One that stands still says nothing.
fn scheduling(daemons: &[&Served]) -> Vec<usize> {
    let schedules = |served: &Served| {
        let mut curl = Command::new("curl");
        let output = curl.args(["-s", "-m", "1", &format!("http://{}/metrics", served.admin)]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().any(|line| line == "nightmark_scheduling 1.0")
    };
    (0..daemons.len()).filter(|at| schedules(daemons[*at])).collect()
}

#[track_caller]
pub fn leader(daemons: &[&Served]) -> usize {
    until("one of them schedules", || match scheduling(daemons)[..] {
        [one] => Some(one),
        _ => None,
    })
}

/// The fires of the job, the newest first.
fn fires(home: &Home) -> Vec<Value> {
    let told = run_with(home, &["schedule", "orgs", "-n", "100", "--json"], "").expect(0).json();
    told[0]["last"].as_array().unwrap().clone()
}

/// Waits for a fire that was done by the machine, after so many that were known.
#[track_caller]
fn done_by(home: &Home, place: &str) {
    until(&format!("a fire is done by {place}"), || {
        let fires = fires(home);
        let of = |fire: &&Value| fire["state"] == "done" && fire["holder"].as_str().unwrap().contains(place);
        fires.iter().find(of).map(drop)
    });
}

#[test]
fn one_daemon_schedules_and_another_takes_over_from_one_that_is_gone() {
    let site = Site::new();
    let line = Line::to(site.database.port);
    let homes = [member(&site, Some(&line)), member(&site, None), member(&site, None)];
    let all: Vec<&Home> = homes.iter().collect();
    let place = |at: usize| homes[at].path("").display().to_string().trim_end_matches('/').to_owned();
    extract(&all, &[("ws_1", "free"), ("ws_2", "free")]);
    let cut_off = serve(&homes[0]);
    assert_eq!(leader(&[&cut_off]), 0);
    let (second, third) = (serve(&homes[1]), serve(&homes[2]));
    done_by(&homes[1], &place(0));
    assert_eq!(site.arrived(), ["ws_1", "ws_2"]);
    until("it stands by", || homes[1].log().contains("standing_by").then_some(()));
    says(&run_with(&homes[2], &["leases"], "").expect(0), &["schedules/nightly", &place(0)]);

    // Cut off from the database: it stops by itself, and another schedules.
    line.cut();
    extract(&all, &[("ws_1", "pro"), ("ws_2", "free")]);
    let next = 1 + leader(&[&second, &third]);
    done_by(&homes[next], &place(next));
    until("the change arrives", || (site.destination.take_orgs() == ["ws_1"]).then_some(()));
    until("it knows", || scheduling(&[&cut_off]).is_empty().then_some(()));
    line.mend();

    // Stopped in its tracks: the same, and when it goes on it stands by.
    let daemons = [&cut_off, &second, &third];
    signal(daemons[next].pid(), "STOP");
    extract(&all, &[("ws_1", "pro"), ("ws_2", "pro")]);
    let others: Vec<usize> = (0..3).filter(|at| *at != next).collect();
    let last = others[leader(&others.iter().map(|at| daemons[*at]).collect::<Vec<_>>())];
    until("the change arrives", || (site.destination.take_orgs() == ["ws_2"]).then_some(()));
    signal(daemons[next].pid(), "CONT");
    // With leases as short as here, it may be any of them by now.
    assert_ne!(last, next);
    let last = leader(&daemons);

    // Killed.
    signal(daemons[last].pid(), "KILL");
    extract(&all, &[("ws_1", "free"), ("ws_2", "pro")]);
    until("the change arrives", || (site.destination.take_orgs() == ["ws_1"]).then_some(()));

    // Stopped in order, it gives its turn back at once.
    let left: Vec<usize> = (0..3).filter(|at| *at != last).collect();
    let leads = left[leader(&left.iter().map(|at| daemons[*at]).collect::<Vec<_>>())];
    let mut served: Vec<Option<Served>> = [cut_off, second, third].into_iter().map(Some).collect();
    assert_eq!(served[leads].take().unwrap().stop(), 0);
    let rest = left.into_iter().find(|at| *at != leads).unwrap();
    assert_eq!(leader(&[served[rest].as_ref().unwrap()]), 0);
    assert_eq!(served[rest].take().unwrap().stop(), 0);
    served[last].take().unwrap().wait();

    // Whoever took over went on where the one before had been: each second has its fire, or is counted in the one that stands for it.
    let dealt_with = "
        WITH ours AS (SELECT * FROM nightmark.fires WHERE job = 'orgs' AND cause = 'schedule'),
            first AS (SELECT min(due) AS due FROM ours)
        SELECT sum(1 + collapsed) || ' of ' || extract(epoch FROM max(ours.due) - min(first.due))::bigint
        FROM ours, first WHERE ours.due > first.due";
    let dealt_with = named(&site, dealt_with);
    let (fires, seconds) = dealt_with.split_once(" of ").unwrap();
    assert_eq!(fires, seconds);
    // No fire was run twice: each that is done has one run that came to its end, and no more were begun than there are fires.
    let count =
        "SELECT count(*) FROM nightmark.runs WHERE state IN ('finished', 'superseded', 'published', 'delivering')";
    let runs: usize = named(&site, count).parse().unwrap();
    let done = "SELECT count(*) FROM nightmark.fires WHERE state = 'done'";
    let done: usize = named(&site, done).parse().unwrap();
    // Of a run that was cut off after its publication the fire is done by the next one; that can be once in each turn.
    let turns = "SELECT epoch FROM nightmark.leases WHERE name = 'schedules/nightly'";
    let turns: usize = named(&site, turns).parse().unwrap();
    assert!(runs >= done && runs <= done + turns, "{runs} runs, {done} fires, {turns} turns");
    assert_eq!(site.arrived(), Vec::<String>::new());
}

#[test]
fn what_a_daemon_that_stands_by_is_asked_for_is_done_by_the_one_that_schedules() {
    let site = Site::new();
    let homes = [member(&site, None), member(&site, None)];
    for home in &homes {
        // Nothing but an order begins a run.
        let job = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
        home.write("jobs/orgs.toml", &job.replace("schedule = \"* * * * * *\"\n", ""));
    }
    extract(&[&homes[0], &homes[1]], &[("ws_1", "free"), ("ws_2", "free")]);
    let schedules = serve(&homes[0]);
    assert_eq!(leader(&[&schedules]), 0);
    let stands_by = serve(&homes[1]);
    until("it stands by", || homes[1].log().contains("standing_by").then_some(()));
    for (plan, arrives) in [("free", &["ws_1", "ws_2"] as &[&str]), ("pro", &["ws_1"])] {
        extract(&[&homes[0], &homes[1]], &[("ws_1", plan), ("ws_2", "free")]);
        let (status, asked) = stands_by.call("POST", "/api/v1/jobs/orgs/run", &[], None);
        assert_eq!((status, &asked["state"]), (202, &Value::from("waiting")), "{asked}");
        let done = until("what was asked for is done", || {
            let (_, told) = stands_by.call("GET", "/api/v1/jobs/orgs", &[], None);
            let fires = told["last"].as_array().unwrap();
            fires.iter().find(|fire| fire["due"] == asked["due"] && fire["state"] == "done").cloned()
        });
        let place = homes[0].path("").display().to_string();
        assert!(done["holder"].as_str().unwrap().contains(place.trim_end_matches('/')), "{done}");
        assert_eq!(done["cause"], "request", "{done}");
        assert_eq!(site.arrived(), arrives);
    }
    assert!(homes[1].log().contains("run_asked") && !homes[1].log().contains("fire_begun"), "{}", homes[1].log());
    assert_eq!((stands_by.stop(), schedules.stop()), (0, 0));
}
