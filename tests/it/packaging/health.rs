//! `nightmark health`, which engines and clusters ask.

use crate::support::{Home, Served, says, signal};
use serde_json::json;

#[test]
fn health_tells_a_daemon_that_works_from_one_that_does_not() {
    let home = Home::new();
    let served = Served::start(&home);
    let ran = home.run(&["health", "--admin", &served.admin]).expect(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("ok\n", ""));
    let ran = home.run(&["health", "--alive", "--admin", &served.admin, "--json"]).expect(0);
    assert_eq!(ran.json(), json!({"healthy": true, "status": "ok"}));
    // The address is that of the settings.
    home.write("nightmark.toml", &format!("[admin]\naddress = \"{}\"\n", served.admin));
    home.run(&["health"]).expect(0);
    // It answers, and is not what was asked for.
    let ran = home.run(&["health", "--admin", &served.receiver]).expect(1);
    says(&ran, &["not nightmark"]);
    // One that stands still: the time is bounded.
    signal(served.pid(), "STOP");
    let ran = home.run(&["health"]).expect(1);
    says(&ran, &["no answer within 5 s"]);
    signal(served.pid(), "CONT");
    assert_eq!(served.stop(), 0);
    let ran = home.run(&["health"]).expect(1);
    says(&ran, &["/readyz: ", "refused"]);
    assert_eq!(ran.stdout, "");
}
