//! Speaking up, with the real binary, a real chat (a web server that takes its webhooks) and a real SMTP server: each kind of trouble, each end of one, each once; kills
//! in the midst; channels that refuse; and no secret in any message.

mod email;
mod kills;
mod kinds;
mod pings;
mod reload;
mod smtp;
mod turns;

use crate::support::{Destination, Home, KEY, SECRET, Served, job_file, says};

/// Stands in the path of the chat's address: whoever knows it can write to the chat.
const HOOK: &str = "planted-hook-c2f1";

/// The variables with the address of the chat.
fn hook(chat: &Destination) -> String {
    format!("http://{}/services/{HOOK}", chat.address)
}

fn serve(home: &Home, chat: &Destination) -> Served {
    Served::start_with(home, &[("HOOK_URL", &hook(chat))])
}

/// A home whose alerts go to a chat.
fn home() -> Home {
    let home = Home::new();
    home.write("nightmark.toml", "[alerts]\nwebhook = \"${HOOK_URL}\"\n");
    home
}

/// A job without a schedule, over a file of its own. `diff`, `more`: what stands in its tables besides, and behind them.
fn job(home: &Home, name: &str, destination: &Destination, diff: &str, more: &str) {
    let to = format!(
        "url = \"http://{}/${{TEST_KEY}}\"\nsecret = \"${{TEST_SECRET}}\"\nretry = {{ attempts = 1, base = \"1ms\" }}\n{more}",
        destination.address
    );
    let file = job_file(diff, &to, "preset = \"flat\"").replace("orgs.csv", &format!("{name}.csv"));
    home.write(&format!("jobs/{name}.toml"), &file);
}

/// Rows `ws_1` … with this plan.
fn rows(home: &Home, name: &str, count: usize, plan: &str) {
    let rows: Vec<String> = (1..=count).map(|n| format!("ws_{n},{plan}")).collect();
    home.write(&format!("{name}.csv"), &format!("workspace_id,plan_id\n{}\n", rows.join("\n")));
}

/// The messages of the chat since the last look, at least `count` of them, sorted. They are what a chat takes, and give nothing away.
#[track_caller]
fn told(chat: &Destination, count: usize) -> Vec<String> {
    chat.wait_for(count);
    let mut texts: Vec<String> = chat
        .take()
        .iter()
        .map(|seen| {
            assert_eq!(
                (seen.path.as_str(), seen.headers["content-type"].as_str()),
                (&*format!("/services/{HOOK}"), "application/json")
            );
            assert_eq!(seen.body.as_object().unwrap().len(), 1, "{}", seen.body);
            seen.body["text"].as_str().unwrap().to_owned()
        })
        .collect();
    texts.sort();
    for text in &texts {
        for secret in [KEY, SECRET, HOOK] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    texts
}

/// The first lines.
fn subjects(texts: &[String]) -> Vec<&str> {
    texts.iter().map(|text| text.lines().next().unwrap().strip_prefix("[nightmark] ").unwrap()).collect()
}

/// A job that fails from now on, as a sign that a daemon has looked.
fn fail(home: &Home, name: &str, destination: &Destination) {
    job(home, name, destination, "", "");
    says(&home.run(&["run", name]).expect(2), &[&format!("{name}.csv")]);
}

#[track_caller]
fn gives_nothing_away(text: &str) {
    for secret in [KEY, SECRET, HOOK] {
        assert!(!text.contains(secret), "{text}");
    }
}
