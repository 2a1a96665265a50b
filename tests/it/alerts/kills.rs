//! Kills between what is decided, told and remembered; channels that do not take anything.

use super::{HOOK, fail, gives_nothing_away, home, hook, job, rows, serve, subjects, told};
use crate::crash::marks;
use crate::support::{Destination, Home, Served};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The home of a job that has failed, and maybe is well again.
fn failed(destination: &Destination) -> Home {
    let home = home();
    fail(&home, "orgs", destination);
    home
}

fn mend(home: &Home) {
    rows(home, "orgs", 1, "free");
    home.run(&["run", "orgs"]).expect(0);
}

/// A daemon that is killed at the mark.
fn killed(home: &Home, chat: &Destination, mark: &str) {
    Served::start_with(home, &[("HOOK_URL", &hook(chat)), ("FAILPOINTS", &format!("{mark}=return"))]).wait();
}

#[test]
fn a_kill_loses_no_message() {
    let raised = "orgs: the run FAILED";
    let over = "orgs: right again (the run FAILED)";
    let mut tested = BTreeSet::new();
    // What is told before the kill at a mark, and after it; what was on its way at the kill is told again.
    for (mark, is_over, before, after) in [
        ("alert.raised", false, &[] as &[&str], &[raised] as &[&str]),
        ("alert.sent", false, &[raised], &[raised]),
        ("alert.ended", true, &[], &[over]),
        ("alert.sent", true, &[over], &[over]),
    ] {
        let (destination, chat) = (Destination::start(), Destination::start());
        let home = failed(&destination);
        if is_over {
            let served = serve(&home, &chat);
            assert_eq!(subjects(&told(&chat, 1)), [raised]);
            assert_eq!(served.stop(), 0);
            mend(&home);
        }
        killed(&home, &chat, mark);
        assert_eq!(subjects(&told(&chat, before.len())), before, "{mark}");
        fail(&home, "sign", &destination);
        let served = serve(&home, &chat);
        let mut expected = [after, &["sign: the run FAILED"]].concat();
        expected.sort_unstable();
        assert_eq!(subjects(&told(&chat, expected.len())), expected, "{mark}");
        assert_eq!(served.stop(), 0);
        tested.insert(mark.to_owned());
    }
    let all: BTreeSet<String> = marks().into_iter().filter(|mark| mark.starts_with("alert.")).collect();
    assert_eq!(tested, all);
}

/// A chat that answers nothing, one that refuses and one that is not there: runs go on, the daemon stops in time, what was not told is logged, counted and told later.
#[test]
fn a_channel_that_takes_nothing_harms_nothing_and_is_told_later() {
    for status in [Some(0), Some(500), Some(302), None] {
        let (destination, chat) = (Destination::start(), Destination::start());
        let home = failed(&destination);
        job(&home, "well", &destination, "", "");
        let file = std::fs::read_to_string(home.path("jobs/well.toml")).unwrap();
        home.write("jobs/well.toml", &file.replacen("version = 1\n", "version = 1\nschedule = \"* * * * * *\"\n", 1));
        rows(&home, "well", 1, "free");
        // The chat's messages have no org.
        status.into_iter().for_each(|status| chat.set("", status));
        let address = match status {
            Some(_) => hook(&chat),
            None => format!("http://127.0.0.1:9/services/{HOOK}"),
        };
        let served = Served::start_with(&home, &[("HOOK_URL", &address)]);
        if status.is_some() {
            chat.wait_for(1);
        }
        destination.wait_for(1);
        if status != Some(0) {
            wait_for_failure(&served);
        }
        let began = Instant::now();
        assert_eq!(served.stop(), 0);
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        let log = home.log();
        gives_nothing_away(&log);
        assert!(log.contains("alert_not_told"), "{status:?} {log}");
        chat.take();
        chat.clear();
        std::fs::remove_file(home.path("jobs/well.toml")).unwrap();
        let served = serve(&home, &chat);
        assert_eq!(subjects(&told(&chat, 1)), ["orgs: the run FAILED"], "{status:?}");
        assert_eq!(served.stop(), 0);
    }
}

/// The bound is there only so that a broken build ends.
#[track_caller]
fn wait_for_failure(served: &Served) {
    let began = Instant::now();
    loop {
        let text = crate::metrics::metrics(served);
        let value =
            crate::metrics::value(&text, "nightmark_alert_messages_total{channel=\"webhook\",result=\"failed\"}");
        if value >= Some(1.0) {
            let raised = crate::metrics::value(&text, "nightmark_alerts_total{kind=\"failed\"}");
            assert_eq!(raised, Some(1.0), "{text}");
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{text}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A setting without its secret is told in the log, and is no reason not to start.
#[test]
fn a_secret_that_is_not_there_is_said() {
    let (destination, chat) = (Destination::start(), Destination::start());
    let home = failed(&destination);
    let served = Served::start(&home);
    wait_for_failure(&served);
    assert_eq!(served.stop(), 0);
    assert!(home.log().contains("HOOK_URL is not set"), "{}", home.log());
    let served = serve(&home, &chat);
    assert_eq!(subjects(&told(&chat, 1)), ["orgs: the run FAILED"]);
    assert_eq!(served.stop(), 0);
}
