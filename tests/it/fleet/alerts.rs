//! Of a fleet one daemon tells what is wrong, and whoever takes over from it goes on where it was.

use super::named;
use super::turns::{leader, member, serve, until};
use crate::shared::{Site, extract};
use crate::support::{Destination, Home, Served, signal};

/// A machine of the fleet that tells a chat. Its job is run by hand, and fails while there is no extract.
fn teller(site: &Site, chat: &Destination) -> Home {
    let home = member(site, None);
    let settings = std::fs::read_to_string(home.path("nightmark.toml")).unwrap();
    home.write("nightmark.toml", &format!("{settings}[alerts]\nwebhook = \"${{file:chat}}\"\n"));
    home.write("chat", &format!("http://{}/", chat.address));
    let job = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    home.write("jobs/orgs.toml", &job.replace("schedule = \"* * * * * *\"\n", ""));
    home
}

/// The first lines of what the chat was told since the last look, at least one.
fn told(chat: &Destination) -> Vec<String> {
    chat.wait_for(1);
    let said = chat.take();
    said.iter().map(|seen| seen.body["text"].as_str().unwrap().lines().next().unwrap().to_owned()).collect()
}

/// A run to its end.
#[track_caller]
fn night(site: &Site, served: &Served) {
    assert_eq!(served.call("POST", "/api/v1/jobs/orgs/run", &[], None).0, 202);
    until("the run has ended", || {
        let open = "SELECT count(*) FROM nightmark.fires WHERE state IN ('running', 'waiting')";
        (named(site, open) == "0").then_some(())
    });
}

/// What is remembered of alerts, and who was told.
fn remembered(site: &Site, alerts: &str) {
    until(alerts, || {
        let all = "SELECT coalesce(string_agg(kind || ' ' || told, ', '), '') FROM nightmark.alerts";
        (named(site, all) == alerts.trim_end()).then_some(())
    });
}

/// So often a daemon has begun to stand by.
fn stood_by(home: &Home) -> usize {
    home.log().matches("standing_by").count()
}

#[test]
fn one_tells_and_whoever_takes_over_goes_on() {
    const FAILED: &str = "[nightmark] orgs: the run FAILED";
    const OVER: &str = "[nightmark] orgs: right again (the run FAILED)";
    let (site, chat) = (Site::new(), Destination::start());
    let homes = [teller(&site, &chat), teller(&site, &chat)];
    let daemons = [serve(&homes[0]), serve(&homes[1])];
    let mut leads = leader(&[&daemons[0], &daemons[1]]);
    // At first it is told, and put down as told; then its answer is lost with whoever told it.
    for is_put_down in [true, false] {
        for home in &homes {
            let _ = std::fs::remove_file(home.path("orgs.csv"));
        }
        if !is_put_down {
            // The chat's messages have no org.
            chat.set("", 0);
        }
        night(&site, &daemons[leads]);
        assert_eq!(told(&chat), [FAILED]);
        remembered(&site, if is_put_down { "failed webhook" } else { "failed " });
        let (gone, before) = (leads, stood_by(&homes[leads]));
        signal(daemons[gone].pid(), "STOP");
        chat.clear();
        leads = 1 - gone;
        assert_eq!(leader(&[&daemons[leads]]), 0);
        if !is_put_down {
            assert_eq!(told(&chat), [FAILED], "nobody knows that it was told");
            remembered(&site, "failed webhook");
        }
        extract(&[&homes[0], &homes[1]], &[("ws_1", "free")]);
        night(&site, &daemons[leads]);
        assert_eq!(told(&chat), [OVER]);
        remembered(&site, "");
        // When it goes on it neither tells nor puts down anything.
        signal(daemons[gone].pid(), "CONT");
        until("it stands by", || (stood_by(&homes[gone]) > before).then_some(()));
        remembered(&site, "");
        assert_eq!(chat.take().len(), 0);
    }
    for daemon in daemons {
        assert_eq!(daemon.stop(), 0);
    }
}
